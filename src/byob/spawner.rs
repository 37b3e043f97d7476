//! The connection to one spawner: the process inside the sandbox that starts a pool's workers.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use roma_protocol::spawner::{FromSpawner, MESSAGE_BYTES, ToSpawner};

use crate::outbox::Outbox;
use crate::seqpacket::Seqpacket;

/// Sends without waiting, receives in the task that calls [`Spawner::next`].
#[derive(Debug)]
pub(crate) struct Spawner {
    link: Seqpacket,
    outbox: Outbox<Outgoing>,
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
            outbox: Outbox::new(),
        }
    }

    /// Sends a message now, or keeps it until there is room. What is kept is bounded by the pool's
    /// ceiling of live workers, each of which has at most one `Spawn` and one `Kill` under way, and by
    /// the patience of its watchdog.
    pub(crate) fn send(&self, message: ToSpawner, fds: Vec<OwnedFd>) {
        let outgoing = Outgoing { message, fds };
        self.outbox
            .send(outgoing, |outgoing| self.try_send(outgoing));
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
            let ready = |room| async move { Ok(self.link.ready(room).await?.is_writable()) };
            self.outbox
                .wait(ready, |outgoing| self.try_send(outgoing))
                .await?;
        }
    }

    /// Ends the spawner and its workers.
    pub(crate) fn close(&self) {
        self.link.shutdown();
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
        assert!(spawner.outbox.has_kept(), "more than a socket holds");
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
