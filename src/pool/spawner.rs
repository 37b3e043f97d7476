//! The connection to one spawner: the process inside the sandbox that starts a pool's workers.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use roma_io::{Outbox, Seqpacket};
use roma_protocol::spawner::{FromSpawner, MESSAGE_BYTES, ToSpawner};

/// Sends without waiting, receives in the task that calls [`Spawner::next`].
#[derive(Debug)]
pub(crate) struct Spawner {
    connection: Seqpacket,
    outbox: Outbox<Outgoing>,
}

#[derive(Debug)]
struct Outgoing {
    message: ToSpawner,
    fds: Vec<OwnedFd>,
}

impl Spawner {
    pub(crate) fn new(connection: Seqpacket) -> Self {
        Self {
            connection,
            outbox: Outbox::default(),
        }
    }

    /// Sends a message now, or queues it until there is room. The queue is bounded: each live worker of
    /// the pool has at most one `Spawn` and one `Kill` in it, and the watchdog ends a spawner that hangs.
    pub(crate) fn send(&self, message: ToSpawner, fds: Vec<OwnedFd>) {
        let outgoing = Outgoing { message, fds };
        self.outbox
            .send(outgoing, |outgoing| self.try_send(outgoing));
    }

    /// Returns the next message of the spawner, or `None` if it is gone. Meanwhile sends queued messages.
    pub(crate) async fn next(&self) -> io::Result<Option<FromSpawner>> {
        let mut packet = [0; MESSAGE_BYTES + 1];
        loop {
            match self.connection.try_recv(&mut packet) {
                Ok(0) => return Ok(None),
                Ok(count) => return decode(&packet[..count]).map(Some),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
            let ready = |room| async move { Ok(self.connection.ready(room).await?.is_writable()) };
            self.outbox
                .wait(ready, |outgoing| self.try_send(outgoing))
                .await?;
        }
    }

    /// Ends the spawner and its workers.
    pub(crate) fn close(&self) {
        self.connection.shutdown();
    }

    /// Returns whether the message was sent or will never be: the reader of this connection learns of a
    /// spawner that is gone.
    fn try_send(&self, outgoing: &Outgoing) -> bool {
        let fds: Vec<_> = outgoing.fds.iter().map(AsFd::as_fd).collect();
        match self.connection.try_send(&outgoing.message.encode(), &fds) {
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
    use std::os::fd::AsRawFd;
    use std::sync::Arc;

    use nix::sys::socket::{MsgFlags, recv};
    use roma_protocol::WorkerId;

    use super::*;

    #[tokio::test]
    async fn a_slow_spawner_gets_every_message_in_order() {
        let (connection, theirs) = Seqpacket::pair().unwrap();
        let spawner = Arc::new(Spawner::new(connection));
        for id in 0..5_000 {
            spawner.send(ToSpawner::Kill(WorkerId(id)), Vec::new());
        }
        assert!(spawner.outbox.has_queued(), "more than a socket holds");
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
    async fn an_invalid_message_is_an_error() {
        let (connection, theirs) = Seqpacket::pair().unwrap();
        let spawner = Spawner::new(connection);
        nix::unistd::write(&theirs, &[99; MESSAGE_BYTES]).unwrap();
        assert_eq!(
            spawner.next().await.unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
    }
}
