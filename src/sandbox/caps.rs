//! Capabilities.

use nix::errno::Errno;

/// A capability, by its number in `linux/capability.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Capability {
    /// Signal any process.
    Kill = 5,
    /// Change to any group.
    SetGid = 6,
    /// Change to any user.
    SetUid = 7,
    /// Change the root.
    SysChroot = 18,
    /// Mount, and create namespaces.
    SysAdmin = 21,
}

/// A set of capabilities, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CapabilitySet(pub u64);

impl CapabilitySet {
    /// Creates a set of these capabilities.
    #[must_use]
    pub fn of(capabilities: &[Capability]) -> Self {
        Self(
            capabilities
                .iter()
                .fold(0, |bits, one| bits | (1 << *one as u32)),
        )
    }

    /// Returns whether `capability` is in the set.
    #[must_use]
    pub fn has(self, capability: Capability) -> bool {
        self.0 & (1 << capability as u32) != 0
    }
}

const VERSION_3: u32 = 0x2008_0522;

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Words {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Returns the effective capabilities of this process.
pub fn effective() -> Result<CapabilitySet, Errno> {
    let [low, high] = get()?;
    Ok(CapabilitySet(join(low.effective, high.effective)))
}

/// Gives up every capability but `keep`, including those that executing a program could bring back.
pub fn keep_only(keep: CapabilitySet) -> Result<(), Errno> {
    clear_ambient()?;
    bound(CapabilitySet::default())?;
    // A change of user clears the effective capabilities even if it keeps the permitted ones.
    let [low, high] = get()?;
    let permitted = join(low.permitted, high.permitted);
    let bits = keep.0 & permitted;
    let word = |bits: u64| Words {
        effective: bits as u32,
        permitted: bits as u32,
        inheritable: 0,
    };
    let words = [word(bits), word(bits >> 32)];
    let header = Header {
        version: VERSION_3,
        pid: 0,
    };
    // SAFETY: the kernel reads a header and, for version 3, two words, all of which outlive the call.
    Errno::result(unsafe { libc::syscall(libc::SYS_capset, &raw const header, words.as_ptr()) })
        .map(drop)
}

/// Keeps capabilities over a change of user.
pub fn keep_over_user_change() -> Result<(), Errno> {
    prctl(libc::PR_SET_KEEPCAPS, 1, 0)
}

/// Prevents gaining privileges by executing a program.
pub fn set_no_new_privileges() -> Result<(), Errno> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0)
}

fn join(low: u32, high: u32) -> u64 {
    u64::from(low) | (u64::from(high) << 32)
}

fn get() -> Result<[Words; 2], Errno> {
    let header = Header {
        version: VERSION_3,
        pid: 0,
    };
    let mut words = [Words::default(); 2];
    // SAFETY: the kernel reads a header and, for version 3, writes two words, all of which are live.
    let result = unsafe { libc::syscall(libc::SYS_capget, &raw const header, words.as_mut_ptr()) };
    Errno::result(result).map(|_| words)
}

fn clear_ambient() -> Result<(), Errno> {
    match prctl(
        libc::PR_CAP_AMBIENT,
        libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong,
        0,
    ) {
        // A kernel without ambient capabilities, like gVisor's, has none to clear.
        Err(Errno::EINVAL) => Ok(()),
        other => other,
    }
}

/// Limits the capabilities that programs can gain from now on, even as root, to `limit`.
pub fn bound(limit: CapabilitySet) -> Result<(), Errno> {
    for capability in (0..64).filter(|number| limit.0 & (1 << number) == 0) {
        match prctl(libc::PR_CAPBSET_DROP, capability, 0) {
            // The first number that is unknown to the kernel.
            Err(Errno::EINVAL) => return Ok(()),
            // Without CAP_SETPCAP the set cannot be changed. It has no effect under no_new_privs.
            Err(Errno::EPERM) => return Ok(()),
            other => other?,
        }
    }
    Ok(())
}

fn prctl(option: i32, a: libc::c_ulong, b: libc::c_ulong) -> Result<(), Errno> {
    // SAFETY: none of the options used here takes a pointer.
    Errno::result(unsafe { libc::prctl(option, a, b, 0, 0) }).map(drop)
}
