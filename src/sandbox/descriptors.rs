//! Which descriptor is where.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};

/// Descriptors below this number are kept taken in a spawner, so that one that it receives never has
/// a number that a worker's descriptors go to.
pub const FIRST_FREE: RawFd = 8;

/// Copies a descriptor to [`FIRST_FREE`] or above, with close-on-exec.
pub fn copy_up(fd: &OwnedFd) -> Result<OwnedFd, Errno> {
    let moved = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(FIRST_FREE))?;
    // SAFETY: the kernel has just made this descriptor for us, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(moved) })
}

/// Fills every number below [`FIRST_FREE`] with `filler`; those from 3 on close on exec. Whatever this
/// process still owns must have been moved up before.
pub fn fill_low(filler: OwnedFd) -> Result<(), Errno> {
    let copy = copy_up(&filler)?;
    drop(filler);
    for low in 0..FIRST_FREE {
        let flags = if low < 3 { 0 } else { libc::O_CLOEXEC };
        // SAFETY: numbers below FIRST_FREE belong to nobody here: what this process owns was moved up
        // before, and the standard descriptors are ours to replace.
        Errno::result(unsafe { libc::dup3(copy.as_raw_fd(), low, flags) })?;
    }
    Ok(())
}

/// Makes reads and writes return at once.
pub fn set_nonblocking(fd: impl AsFd) -> Result<(), Errno> {
    let flags = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL)?);
    fcntl(&fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).map(drop)
}

/// Has a descriptor closed when this process executes another program.
pub fn set_close_on_exec(fd: impl AsFd) -> Result<(), Errno> {
    fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).map(drop)
}

/// Takes over standard input, which here is a connection and not a stream of text. Nothing else in
/// this process may use it.
#[must_use]
pub fn take_standard_input() -> OwnedFd {
    // SAFETY: run_workers calls this once, first, and never uses `std::io::stdin`.
    unsafe { OwnedFd::from_raw_fd(0) }
}
