//! The secret with which the spawner alone may make calls that its system call filter denies.
//!
//! A filter is inherited, so the spawner runs under the same filter as the UDFs that it starts, and yet
//! it must clone into namespaces. Filters see the raw values of all six argument registers, and these
//! calls use fewer: an unused register carries a random number that only the spawner knows, and the
//! filter allows the call only with it. The kernel ignores the register.

use nix::errno::Errno;

/// A random number, or 0 if there is no filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gate(u64);

impl Gate {
    /// For processes without a filter.
    pub const NONE: Self = Self(0);

    /// Returns a new random secret.
    pub fn random() -> Result<Self, Errno> {
        random_u64().map(Self)
    }

    pub(crate) fn secret(self) -> u64 {
        self.0
    }
}

/// Returns an unpredictable number.
pub fn random_u64() -> Result<u64, Errno> {
    let mut bytes = [0u8; 8];
    // SAFETY: the kernel writes at most `bytes.len()` bytes into `bytes`, which outlives the call.
    let count = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    match usize::try_from(count) {
        Ok(count) if count == bytes.len() => Ok(u64::from_ne_bytes(bytes)),
        Ok(_) => Err(Errno::EIO),
        Err(_) => Err(Errno::last()),
    }
}
