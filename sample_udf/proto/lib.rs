//! The messages of the sample APIs, in one module for each proto package.
//!
//! This file and `build.rs` serve Cargo only: in Bazel, `rust_proto_library` makes the same crate.

include!(concat!(env!("OUT_DIR"), "/roma_sample_proto.rs"));
