//! Reducing a spawner's user, group and capabilities to what starting workers takes.

use nix::errno::Errno;
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use roma_protocol::control::Load;
use roma_sandbox::caps::{self, Capability, CapabilitySet};
use roma_sandbox::guard::{Guard, is_enabled};

/// The user of workers if the pool has no block of user ids.
const NOBODY: u32 = 65_534;

/// Gives up root and every capability that is not needed to start workers. Returns whether the spawner
/// can give each worker a user of its own, from `first_user` on.
pub(crate) fn reduce(load: &Load, first_user: u32, privileged_clone: bool) -> Result<bool, Errno> {
    let own_users = leave_root(first_user)?;
    let mut keep = Vec::new();
    if own_users {
        keep.extend([Capability::SetUid, Capability::Kill]);
    }
    if privileged_clone || load.proc || load.tmp_bytes.is_some() {
        keep.push(Capability::SysAdmin);
    }
    if !is_enabled(Guard::UserNamespace) {
        // Otherwise that namespace gives it to the worker.
        keep.push(Capability::SysChroot);
    }
    if is_enabled(Guard::DroppedCapabilities) {
        caps::keep_only(CapabilitySet::of(&keep))?;
    }
    Ok(own_users)
}

/// Becomes `first_user` or, if that is not possible, `NOBODY`. Without the capabilities for it the user
/// stays the same: then it is not root outside this user namespace either. Returns whether the user is
/// `first_user`.
fn leave_root(first_user: u32) -> Result<bool, Errno> {
    let held = caps::effective()?;
    if !(held.has(Capability::SetUid) && held.has(Capability::SetGid)) {
        return Ok(false);
    }
    caps::keep_over_user_change()?;
    match become_user(first_user) {
        Ok(()) => Ok(true),
        // Not mapped in this user namespace.
        Err(Errno::EINVAL) => match become_user(NOBODY) {
            Ok(()) | Err(Errno::EINVAL) => Ok(false),
            Err(errno) => Err(errno),
        },
        Err(errno) => Err(errno),
    }
}

fn become_user(number: u32) -> Result<(), Errno> {
    let (user, group) = (Uid::from_raw(number), Gid::from_raw(number));
    setresgid(group, group, group)?;
    match setgroups(&[]) {
        // Denied in a user namespace that was created without privileges.
        Ok(()) | Err(Errno::EPERM) => {}
        Err(errno) => return Err(errno),
    }
    setresuid(user, user, user)
}
