//! Making processes that go on as copies of this one. For workers see [`crate::launch`].

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::Pid;

/// Which of the two processes this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forked {
    /// The one that called, and the process that it made.
    Parent(Pid),
    /// The new one.
    Child,
}

/// Forks into new namespaces. Fails with `EINVAL` in a process that has several threads, since the
/// copy of a lock that another thread holds would stay locked for ever.
pub fn fork_into(namespaces: CloneFlags) -> Result<Forked, Errno> {
    // Separates nothing: the kernel does no more than check that there is one thread.
    unshare(CloneFlags::CLONE_THREAD)?;
    let flags = libc::c_long::from(namespaces.bits() | libc::SIGCHLD);
    // SAFETY: without CLONE_VM and with no stack given this is fork(2): the child goes on with a copy
    // of everything, and the check above made sure that no other thread was cut off midway.
    let result = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    match Errno::result(result)? {
        0 => Ok(Forked::Child),
        pid => Ok(Forked::Parent(Pid::from_raw(pid as i32))),
    }
}
