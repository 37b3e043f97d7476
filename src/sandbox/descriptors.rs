//! The numbers of descriptors in a spawner, and their flags.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};

/// All descriptors below this number are open in a spawner, so that one that it receives never has a
/// number that a worker's descriptors are copied to.
pub const FIRST_FREE: RawFd = 8;

/// Copies a descriptor to [`FIRST_FREE`] or above, with close-on-exec.
pub fn copy_up(fd: &OwnedFd) -> Result<OwnedFd, Errno> {
    let moved = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(FIRST_FREE))?;
    // SAFETY: the kernel has just created this descriptor for this call, so nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(moved) })
}

/// Fills every number below [`FIRST_FREE`] with copies of `filler`; those from 3 on close on exec. The
/// caller must have moved its own descriptors up before.
pub fn fill_low(filler: OwnedFd) -> Result<(), Errno> {
    let copy = copy_up(&filler)?;
    drop(filler);
    for low in 0..FIRST_FREE {
        let flags = if low < 3 { 0 } else { libc::O_CLOEXEC };
        // SAFETY: nothing owns the numbers below FIRST_FREE: what this process owns was moved up before,
        // and the standard descriptors may be replaced.
        Errno::result(unsafe { libc::dup3(copy.as_raw_fd(), low, flags) })?;
    }
    Ok(())
}

/// Makes reads and writes return without blocking.
pub fn set_nonblocking(fd: impl AsFd) -> Result<(), Errno> {
    let flags = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL)?);
    fcntl(&fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).map(drop)
}

/// Closes a descriptor when this process executes another program.
pub fn set_close_on_exec(fd: impl AsFd) -> Result<(), Errno> {
    fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).map(drop)
}

/// Takes ownership of standard input, which here is a connection and not text. Nothing else in this
/// process may use it.
#[must_use]
pub fn take_standard_input() -> OwnedFd {
    // SAFETY: run_workers calls this once, first, and never uses `std::io::stdin`.
    unsafe { OwnedFd::from_raw_fd(0) }
}
