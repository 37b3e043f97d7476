//! Hostile code that commands run beside other code, and what they grant to it.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use roma_byob::Limits;

use crate::programs;

/// How long a process of it lives: many of its ways never end by themselves.
pub const LIFE: Duration = Duration::from_millis(100);
/// What one may map; `hoard` wants more.
const ADDRESS_SPACE: u64 = 64 << 20;

/// What each of its processes may use.
pub fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.address_space = Some(ADDRESS_SPACE);
    limits
}

/// The code itself.
pub fn read(named: Option<PathBuf>) -> anyhow::Result<Bytes> {
    programs::read_found(named, "ROMA_MISBEHAVING_UDF", "misbehaving_udf")
}
