//! Signals, read from a descriptor instead of handled.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};

/// Blocks SIGCHLD and returns a descriptor that is readable when a child ends.
pub fn child_events() -> Result<OwnedFd, Errno> {
    let mut set = SigSet::empty();
    set.add(Signal::SIGCHLD);
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&set), None)?;
    let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
    // SAFETY: the set is initialised and outlives the call.
    let fd = Errno::result(unsafe { libc::signalfd(-1, set.as_ref(), flags) })?;
    // SAFETY: the kernel has just created this descriptor for this call, so nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Clears [`child_events`], so that it is no longer readable. Signals of one kind are merged: one read is
/// enough.
pub fn drain(events: BorrowedFd<'_>) {
    let mut info = [0u8; size_of::<libc::signalfd_siginfo>()];
    // SAFETY: the kernel writes at most `info.len()` bytes into `info`. It may
    // fail if there is nothing to read.
    unsafe { libc::read(events.as_raw_fd(), info.as_mut_ptr().cast(), info.len()) };
}

/// Restores the default for SIGPIPE, which Rust's runtime changes and which UDFs would inherit.
pub fn restore_sigpipe() -> Result<(), Errno> {
    // SAFETY: SIG_DFL is not a handler, so no code can run in signal context.
    let previous = unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    if previous == libc::SIG_ERR {
        Err(Errno::last())
    } else {
        Ok(())
    }
}

/// Asks the kernel to kill this process when its parent dies.
pub fn die_with_parent() -> Result<(), Errno> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)
}
