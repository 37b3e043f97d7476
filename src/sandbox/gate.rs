//! The secret that opens, for the spawner alone, what its system call filter denies to everyone else.
//!
//! A filter is inherited, so the spawner lives under the same filter as the UDFs that it starts, and
//! yet it must clone into namespaces. Filters see the raw values of all six argument registers, and
//! these calls use fewer: an unused register carries a random number that only the spawner knows, and
//! the filter lets the call through only with it. The kernel ignores the register.

use nix::errno::Errno;

/// A random number, or nothing where no filter asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gate(u64);

impl Gate {
    /// For processes without a filter.
    pub const NONE: Self = Self(0);

    /// Another one each time.
    pub fn random() -> Result<Self, Errno> {
        random_u64().map(Self)
    }

    pub(crate) fn secret(self) -> u64 {
        self.0
    }
}

/// A number that nobody can guess.
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
