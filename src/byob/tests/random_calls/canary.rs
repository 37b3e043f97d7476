//! A mark in the bytes of one request, as `sample_udf/random_calls/canary.rs` makes and finds it.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// The owners of all marks so far. A process whose random calls spoilt its own memory may report others.
static OWNERS: Mutex<Option<HashSet<u64>>> = Mutex::new(None);

const PREFIX: &str = "roma-canary-";
const DIGITS: usize = 16;

/// To be called before a request with marks of this owner is sent.
pub fn register(owner: u64) {
    let mut owners = OWNERS.lock().unwrap_or_else(PoisonError::into_inner);
    owners.get_or_insert_default().insert(owner);
}

/// Whether there is such an owner.
pub fn is_owner(owner: u64) -> bool {
    let owners = OWNERS.lock().unwrap_or_else(PoisonError::into_inner);
    owners
        .as_ref()
        .is_some_and(|owners| owners.contains(&owner))
}

pub fn of(owner: u64) -> String {
    let check = (owner ^ 0x5bd1_e995_9d1b_a3c7).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("{PREFIX}{owner:016x}{check:016x}")
}

/// Returns the owners of all marks in a text that are not of `own`.
pub fn foreign(text: &str, own: u64) -> Vec<u64> {
    let marks = text.split(PREFIX).skip(1);
    let owners = marks.filter_map(|mark| {
        let owner = u64::from_str_radix(mark.get(..DIGITS)?, 16).ok()?;
        of(owner)
            .ends_with(mark.get(..2 * DIGITS)?)
            .then_some(owner)
    });
    owners
        .filter(|owner| *owner != own && is_owner(*owner))
        .collect()
}

#[test]
fn a_mark_of_another_request_is_found_and_a_damaged_one_is_not() {
    [1, 2].into_iter().for_each(register);
    let text = format!("a{}b{}c{}", of(1), of(2), of(3));
    assert_eq!(foreign(&text, 1), [2]);
    assert!(foreign(&text.replace(&of(2)[20..], "0"), 1).is_empty());
}
