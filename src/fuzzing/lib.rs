//! What must hold for whatever bytes come from the other side of the boundary: one target for each
//! parser. A target panics where its property is broken.
//!
//! The fuzzers under `fuzz/` feed these functions with bytes of their own making; the tests of this
//! crate replay the bytes that are kept in `fuzz/corpus`.

pub mod binary;
pub mod configuration;
pub mod control;
pub mod elf_file;
pub mod frame;
pub mod host_calls;
pub mod seeds;
pub mod spawner;
pub mod udf_request;
pub mod worker;

mod pieces;
#[cfg(test)]
mod replay;

/// A target's name and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("binary", binary::run),
    ("configuration", configuration::run),
    ("elf", elf_file::run),
    ("frame", frame::run),
    ("from_run_workers", control::from_run_workers),
    ("from_spawner", spawner::from_spawner),
    ("host_calls", host_calls::run),
    ("to_run_workers", control::to_run_workers),
    ("to_spawner", spawner::to_spawner),
    ("udf_request", udf_request::run),
    ("worker", worker::run),
];
