//! Names of workers that cannot be guessed.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use roma_sandbox::name::ExecutionName;

/// Returns a name that reveals nothing about other names: a keyed hash of a counter, with a key from the
/// kernel.
pub(crate) fn execution_name() -> ExecutionName {
    static KEYS: OnceLock<[RandomState; 2]> = OnceLock::new();
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let keys = KEYS.get_or_init(|| [RandomState::new(), RandomState::new()]);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut name = [0; 16];
    for (half, key) in name.chunks_mut(8).zip(keys) {
        half.copy_from_slice(&key.hash_one(number).to_ne_bytes());
    }
    ExecutionName(name)
}

#[cfg(test)]
mod tests {
    use super::execution_name;

    #[test]
    fn names_differ() {
        let names: std::collections::HashSet<_> = (0..1000).map(|_| execution_name()).collect();
        assert_eq!(names.len(), 1000);
    }
}
