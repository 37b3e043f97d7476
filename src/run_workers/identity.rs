//! Who a spawner is: as little as starting workers takes.

use nix::errno::Errno;
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use roma_protocol::control::Load;
use roma_sandbox::caps::{self, Capability, CapabilitySet};
use roma_sandbox::guard::{Guard, stands};

/// Whom workers run as where no block of numbers can be had: nobody.
const NOBODY: u32 = 65_534;

/// Gives up root and every capability that is not needed to start workers. Says whether the spawner
/// may choose a user for each worker from `first_user` on.
pub(crate) fn shrink(load: &Load, first_user: u32, privileged_clone: bool) -> Result<bool, Errno> {
    let own_users = leave_root(first_user)?;
    let mut keep = Vec::new();
    if own_users {
        keep.extend([Capability::SetUid, Capability::Kill]);
    }
    if privileged_clone || load.proc || load.tmp_bytes.is_some() {
        keep.push(Capability::SysAdmin);
    }
    if stands(Guard::DroppedCapabilities) {
        caps::keep_only(CapabilitySet::of(&keep))?;
    }
    Ok(own_users)
}

/// Becomes a user that nobody else is, or else nobody; stays who it is where it may not choose, for
/// then it is not root outside either.
fn leave_root(first_user: u32) -> Result<bool, Errno> {
    let held = caps::effective()?;
    if !(held.has(Capability::SetUid) && held.has(Capability::SetGid)) {
        return Ok(false);
    }
    caps::keep_over_user_change()?;
    match become_user(first_user) {
        Ok(()) => Ok(true),
        // Not among the numbers that this user namespace has.
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
        // Forbidden for good in a user namespace that its maker had no right over.
        Ok(()) | Err(Errno::EPERM) => {}
        Err(errno) => return Err(errno),
    }
    setresuid(user, user, user)
}
