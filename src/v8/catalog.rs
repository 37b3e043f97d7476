//! The code that is loaded, by its version.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use roma_v8_protocol::Load;

/// Code that workers have or can be given.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// What a worker is sent to load it.
    pub(crate) load: Load,
}

/// The code by version. Each has a number of its own, so that a worker that still has the former code of a version
/// cannot answer with it.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    versions: RwLock<HashMap<String, Arc<Loaded>>>,
    next: AtomicU64,
}

impl Catalog {
    /// Returns a number that no code had before.
    pub(crate) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Adds code, in place of that of the same version.
    pub(crate) fn insert(&self, version: String, load: Load) {
        let mut versions = self
            .versions
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        versions.insert(version, Arc::new(Loaded { load }));
    }

    pub(crate) fn get(&self, version: &str) -> Option<Arc<Loaded>> {
        let versions = self.versions.read().unwrap_or_else(PoisonError::into_inner);
        versions.get(version).cloned()
    }

    /// Removes code. Returns whether it was there.
    pub(crate) fn remove(&self, version: &str) -> bool {
        let mut versions = self
            .versions
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        versions.remove(version).is_some()
    }
}
