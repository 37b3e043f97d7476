//! The connection to one spawner: the process inside the sandbox that starts a pool's workers.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use roma_protocol::spawner::{FromSpawner, MESSAGE_BYTES, ToSpawner};
use tokio::sync::Notify;

use crate::seqpacket::Seqpacket;

/// Sends without waiting, receives in the task that calls [`Spawner::next`].
#[derive(Debug)]
pub(crate) struct Spawner {
    link: Seqpacket,
    outbox: Mutex<VecDeque<Outgoing>>,
    outbox_filled: Notify,
}

#[derive(Debug)]
struct Outgoing {
    message: ToSpawner,
    fds: Vec<OwnedFd>,
}

impl Spawner {
    pub(crate) fn new(link: Seqpacket) -> Self {
        Self {
            link,
            outbox: Mutex::default(),
            outbox_filled: Notify::new(),
        }
    }

    /// Sends a message now, or keeps it until there is room. What is kept is bounded by the pool's
    /// ceiling of live workers, each of which has at most one `Spawn` and one `Kill` under way.
    pub(crate) fn send(&self, message: ToSpawner, fds: Vec<OwnedFd>) {
        let outgoing = Outgoing { message, fds };
        let mut outbox = self.lock();
        if outbox.is_empty() && self.try_send(&outgoing) {
            return;
        }
        outbox.push_back(outgoing);
        drop(outbox);
        self.outbox_filled.notify_one();
    }

    /// The spawner's next message; `None` when it is gone. Meanwhile sends what was kept.
    pub(crate) async fn next(&self) -> io::Result<Option<FromSpawner>> {
        let mut packet = [0; MESSAGE_BYTES + 1];
        loop {
            match self.link.try_recv(&mut packet) {
                Ok(0) => return Ok(None),
                Ok(count) => return decode(&packet[..count]).map(Some),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
            tokio::select! {
                ready = self.link.ready(self.has_kept()) => {
                    if ready?.is_writable() {
                        self.flush();
                    }
                }
                () = self.outbox_filled.notified() => {}
            }
        }
    }

    /// Ends the spawner and its workers.
    pub(crate) fn close(&self) {
        self.link.shutdown();
    }

    fn has_kept(&self) -> bool {
        !self.lock().is_empty()
    }

    fn flush(&self) {
        let mut outbox = self.lock();
        while outbox.front().is_some_and(|first| self.try_send(first)) {
            outbox.pop_front();
        }
    }

    /// Says whether the message is dealt with. One to a spawner that is gone is: whoever reads from
    /// it will hear of its end.
    fn try_send(&self, outgoing: &Outgoing) -> bool {
        let fds: Vec<_> = outgoing.fds.iter().map(AsFd::as_fd).collect();
        match self.link.try_send(&outgoing.message.encode(), &fds) {
            Err(e) => e.kind() != io::ErrorKind::WouldBlock,
            Ok(()) => true,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Outgoing>> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn decode(packet: &[u8]) -> io::Result<FromSpawner> {
    FromSpawner::decode(packet).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::{MsgFlags, recv};
    use roma_protocol::WorkerId;
    use std::os::fd::AsRawFd;
    use std::sync::Arc;

    #[tokio::test]
    async fn nothing_is_lost_and_order_is_kept_when_the_spawner_is_slow() {
        let (link, theirs) = Seqpacket::pair().unwrap();
        let spawner = Arc::new(Spawner::new(link));
        for id in 0..5_000 {
            spawner.send(ToSpawner::Kill(WorkerId(id)), Vec::new());
        }
        assert!(spawner.has_kept(), "more than a socket holds");
        let reader = tokio::task::spawn_blocking(move || {
            let mut packet = [0; MESSAGE_BYTES];
            for id in 0..5_000 {
                recv(theirs.as_raw_fd(), &mut packet, MsgFlags::empty()).unwrap();
                assert_eq!(
                    ToSpawner::decode(&packet),
                    Ok(ToSpawner::Kill(WorkerId(id)))
                );
            }
        });
        assert!(
            spawner.next().await.unwrap().is_none(),
            "closed after the last message"
        );
        reader.await.unwrap();
    }

    #[tokio::test]
    async fn messages_that_mean_nothing_are_an_error() {
        let (link, theirs) = Seqpacket::pair().unwrap();
        let spawner = Spawner::new(link);
        nix::unistd::write(&theirs, &[99; MESSAGE_BYTES]).unwrap();
        assert_eq!(
            spawner.next().await.unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
    }
}
