//! Messages that are sent at once or, if there is no room, later and in order.

use std::collections::VecDeque;
use std::io;

use tokio::sync::Notify;

use crate::sync::{Mutex, MutexGuard, PoisonError};

/// A queue of messages that wait for room. Any task may send; the one that calls [`Outbox::wait`] sends
/// what was queued.
#[derive(Debug)]
pub struct Outbox<T> {
    queue: Mutex<VecDeque<T>>,
    filled: Notify,
}

impl<T> Default for Outbox<T> {
    fn default() -> Self {
        Self {
            queue: Mutex::new(VecDeque::new()),
            filled: Notify::new(),
        }
    }
}

impl<T> Outbox<T> {
    /// Sends a message now, or queues it until there is room. `try_send` returns whether the message
    /// was sent or will never be.
    pub fn send(&self, message: T, try_send: impl Fn(&T) -> bool) {
        let mut queue = self.lock();
        if queue.is_empty() && try_send(&message) {
            return;
        }
        queue.push_back(message);
        drop(queue);
        self.filled.notify_one();
    }

    /// Waits until the connection is ready or a message was queued, and sends queued messages if there
    /// is room. `ready` waits for something to read and, if its argument is true, for room as well; it
    /// returns whether there is room.
    pub async fn wait<F: Future<Output = io::Result<bool>>>(
        &self,
        ready: impl FnOnce(bool) -> F,
        try_send: impl Fn(&T) -> bool,
    ) -> io::Result<()> {
        tokio::select! {
            room = ready(self.has_queued()) => {
                if room? {
                    self.flush(try_send);
                }
            }
            () = self.filled.notified() => {}
        }
        Ok(())
    }

    /// Returns whether messages wait for room.
    pub fn has_queued(&self) -> bool {
        !self.lock().is_empty()
    }

    fn flush(&self, try_send: impl Fn(&T) -> bool) {
        let mut queue = self.lock();
        while queue.front().is_some_and(&try_send) {
            queue.pop_front();
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
