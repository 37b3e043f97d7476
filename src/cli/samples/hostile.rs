//! Hostile code that commands run beside other code, and its limits.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use roma_byob::Limits;

use crate::samples::programs;

/// The deadline of a hostile request: many of them never end by themselves.
pub const LIFE: Duration = Duration::from_millis(100);
/// The address space of one process; `hoard` needs more.
const ADDRESS_SPACE: u64 = 64 << 20;

/// Returns the limits of each process.
pub fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.address_space = Some(ADDRESS_SPACE);
    limits
}

/// Returns the binary.
pub fn read(named: Option<PathBuf>) -> anyhow::Result<Bytes> {
    programs::read_found(named, "ROMA_MISBEHAVING_UDF", "misbehaving_udf")
}
