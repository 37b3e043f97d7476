//! Messages of a spawner to its host: sent at once, or kept until the host reads again.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;

use nix::errno::Errno;
use nix::unistd::write;
use roma_protocol::spawner::{FromSpawner, MESSAGE_BYTES};
use roma_sandbox::fdpass;
use roma_sandbox::step::StepFailure;

/// With this many pending, a spawner receives no more messages: the host must read first.
const MAX_PENDING: usize = 1024;

/// Messages that the connection has not accepted yet, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Replies(VecDeque<[u8; MESSAGE_BYTES]>);

impl Replies {
    /// Sends a message after those that are pending.
    pub(crate) fn send(
        &mut self,
        connection: BorrowedFd<'_>,
        message: &FromSpawner,
    ) -> Result<(), Errno> {
        self.0.push_back(message.encode());
        self.flush(connection)
    }

    /// Sends pending messages until there are none or the connection is full.
    pub(crate) fn flush(&mut self, connection: BorrowedFd<'_>) -> Result<(), Errno> {
        while let Some(message) = self.0.front() {
            // One write is one packet: it is accepted whole or not at all.
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

    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= MAX_PENDING
    }
}

/// Reports why there will be no spawner. Returns the exit code of the process.
pub(crate) fn report_setup_failure(connection: Option<&OwnedFd>, failure: StepFailure) -> ExitCode {
    if let Some(connection) = connection {
        let message = FromSpawner::SetupFailed(failure).encode();
        // If the host has closed its end, there is no one to report to.
        let _ = fdpass::send(connection.as_fd(), &message, &[]);
    }
    ExitCode::FAILURE
}
