//! The control connection, as `run_workers` uses it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;

use nix::errno::Errno;
use roma_protocol::control::FromRunWorkers;
use roma_sandbox::fdpass::{self, Packet};
use roma_sandbox::gate::Gate;
use roma_sandbox::step::StepFailure;

/// The end of the control connection that `run_workers` has as its standard input.
pub(crate) struct Control(pub(crate) OwnedFd);

impl Control {
    /// Receives one packet. Blocks until there is one.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> Result<Packet, Errno> {
        fdpass::receive(self.as_fd(), buffer, Gate::NONE)
    }

    /// Sends a message.
    pub(crate) fn send(&self, message: FromRunWorkers) {
        // If the host has closed its end, the next read says so.
        let _ = fdpass::send(self.as_fd(), &message.encode(), &[]);
    }

    /// Reports why this process cannot go on. Returns its exit code.
    pub(crate) fn report_broken(&self, failure: StepFailure) -> ExitCode {
        eprintln!("run_workers: {failure}");
        self.send(FromRunWorkers::Broken(failure));
        ExitCode::FAILURE
    }

    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
