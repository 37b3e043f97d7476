//! Messages that go out at once or, where there is no room, later and in order.

use std::collections::VecDeque;
use std::io;

use tokio::sync::Notify;

use crate::sync::{Mutex, MutexGuard, PoisonError};

/// What waits for room. Anybody may send; one task, which calls [`Outbox::wait`], sends what is kept.
#[derive(Debug)]
pub(crate) struct Outbox<T> {
    kept: Mutex<VecDeque<T>>,
    filled: Notify,
}

impl<T> Outbox<T> {
    pub(crate) fn new() -> Self {
        Self {
            kept: Mutex::new(VecDeque::new()),
            filled: Notify::new(),
        }
    }

    /// Sends a message now, or keeps it until there is room. `try_send` says whether a message is
    /// dealt with.
    pub(crate) fn send(&self, message: T, try_send: impl Fn(&T) -> bool) {
        let mut kept = self.lock();
        if kept.is_empty() && try_send(&message) {
            return;
        }
        kept.push_back(message);
        drop(kept);
        self.filled.notify_one();
    }

    /// Waits until the connection is ready, and sends what was kept if it is ready for that. `ready`
    /// is told whether to wait for room as well, and tells whether there is any.
    pub(crate) async fn wait<F: Future<Output = io::Result<bool>>>(
        &self,
        ready: impl FnOnce(bool) -> F,
        try_send: impl Fn(&T) -> bool,
    ) -> io::Result<()> {
        tokio::select! {
            room = ready(self.has_kept()) => {
                if room? {
                    self.flush(try_send);
                }
            }
            () = self.filled.notified() => {}
        }
        Ok(())
    }

    pub(crate) fn has_kept(&self) -> bool {
        !self.lock().is_empty()
    }

    fn flush(&self, try_send: impl Fn(&T) -> bool) {
        let mut kept = self.lock();
        while kept.front().is_some_and(&try_send) {
            kept.pop_front();
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<T>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
