//! What a spawner has to tell its host: sent at once, or kept until the host reads again.

use nix::errno::Errno;
use nix::unistd::write;
use roma_protocol::spawner::{FromSpawner, MESSAGE_BYTES};
use std::collections::VecDeque;
use std::os::fd::BorrowedFd;

/// With so many kept, a spawner takes no more messages: the host must read first.
const MANY: usize = 1024;

/// Messages that the connection has not taken yet, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Replies(VecDeque<[u8; MESSAGE_BYTES]>);

impl Replies {
    /// Sends, after what was kept before.
    pub(crate) fn tell(
        &mut self,
        connection: BorrowedFd<'_>,
        message: &FromSpawner,
    ) -> Result<(), Errno> {
        self.0.push_back(message.encode());
        self.flush(connection)
    }

    /// Sends what was kept, as far as the connection takes it.
    pub(crate) fn flush(&mut self, connection: BorrowedFd<'_>) -> Result<(), Errno> {
        while let Some(message) = self.0.front() {
            // One write is one packet, whole or not at all.
            match write(connection, message) {
                Ok(_) => drop(self.0.pop_front()),
                Err(Errno::EAGAIN) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn are_many(&self) -> bool {
        self.0.len() >= MANY
    }
}
