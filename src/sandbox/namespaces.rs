//! Entering namespaces.

use std::fs;

use nix::errno::Errno;
use nix::sched::CloneFlags;

use crate::caps::{self, Capability};

/// Returns all namespaces that a pool, and `run_workers` itself, have of their own, except a user
/// namespace.
#[must_use]
pub fn all() -> CloneFlags {
    CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWNET
}

/// Makes the user who has just entered a user namespace root within it. Needs `/proc`.
pub fn become_root_of_user_namespace(outer_uid: u32, outer_gid: u32) -> Result<(), Errno> {
    become_user_of_user_namespace((0, 0), (outer_uid, outer_gid))
}

/// Like [`become_root_of_user_namespace`], with another user and group within it.
pub fn become_user_of_user_namespace(inner: (u32, u32), outer: (u32, u32)) -> Result<(), Errno> {
    write("/proc/self/setgroups", "deny")?;
    write("/proc/self/uid_map", &format!("{} {} 1", inner.0, outer.0))?;
    write("/proc/self/gid_map", &format!("{} {} 1", inner.1, outer.1))
}

/// Returns whether this process must enter a user namespace before it can create other namespaces.
#[must_use]
pub fn need_user_namespace() -> bool {
    !caps::effective().is_ok_and(|set| set.has(Capability::SysAdmin))
}

/// Returns whether a process without capabilities can create user namespaces, and with them the others.
/// Some distributions reserve that for processes with `CAP_SYS_ADMIN`. Needs `/proc`.
#[must_use]
pub fn user_namespaces_are_unprivileged() -> bool {
    let reads = |path: &str, text: &str| fs::read_to_string(path).is_ok_and(|is| is.trim() == text);
    !reads("/proc/sys/kernel/unprivileged_userns_clone", "0")
        && !reads(
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1",
        )
}

/// Gives the current UTS namespace a neutral host name.
pub fn hide_host_name() -> Result<(), Errno> {
    nix::unistd::sethostname("roma")?;
    // SAFETY: the pointer and the length describe a static string. gVisor counts the final NUL.
    let result = unsafe { libc::setdomainname(c"".as_ptr(), 1) };
    Errno::result(result).map(drop)
}

fn write(path: &str, text: &str) -> Result<(), Errno> {
    fs::write(path, text).map_err(|error| crate::step::errno_of(&error))
}
