//! The locks of modelled code: `models/` compiles the same files with locks that it can schedule.

pub(crate) use std::sync::{Mutex, MutexGuard, PoisonError};
