//! The locks of what is modelled: `models/` compiles those files with locks of its own in their place.

pub(crate) use std::sync::{Mutex, MutexGuard, PoisonError};
