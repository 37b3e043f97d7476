//! Forking processes into new namespaces. For workers see [`crate::launch`].

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::Pid;

/// Which process this is after [`fork_into`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forked {
    /// The calling process, with the id of the new one.
    Parent(Pid),
    /// The new process.
    Child,
}

/// Forks into new namespaces. Fails with `EINVAL` in a process that has several threads, because the
/// copy of a lock that another thread holds would stay locked.
pub fn fork_into(namespaces: CloneFlags) -> Result<Forked, Errno> {
    // Unshares nothing: the kernel only checks that there is one thread.
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
