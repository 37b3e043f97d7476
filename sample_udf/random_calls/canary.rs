//! A mark in the memory of one request. Another request that finds it has learned something of it.
//!
//! `src/byob/tests/random_calls/canary.rs` marks the requests to the neighbour in the same way.

const PREFIX: &str = "roma-canary-";
/// Two numbers of sixteen digits follow the prefix: the owner, and a check.
const DIGITS: usize = 16;
pub(crate) const LENGTH: usize = PREFIX.len() + 2 * DIGITS;

pub(crate) fn of(owner: u64) -> String {
    format!("{PREFIX}{owner:016x}{:016x}", check(owner))
}

/// A mark that was damaged is not taken for that of another owner.
fn check(owner: u64) -> u64 {
    (owner ^ 0x5bd1_e995_9d1b_a3c7).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Returns the owner of the first mark that is not of `own`.
pub(crate) fn find_foreign(bytes: &[u8], own: u64) -> Option<u64> {
    let prefix = PREFIX.as_bytes();
    let marks = bytes
        .windows(LENGTH)
        .filter(|bytes| bytes.starts_with(prefix));
    let mut owners = marks.filter_map(|mark| {
        let digits = std::str::from_utf8(&mark[prefix.len()..]).ok()?;
        let (owner, checked) = digits.split_at_checked(DIGITS)?;
        let owner = u64::from_str_radix(owner, 16).ok()?;
        let checked = u64::from_str_radix(checked, 16).ok()?;
        (checked == check(owner)).then_some(owner)
    });
    owners.find(|owner| *owner != own)
}
