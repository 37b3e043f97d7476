//! Roma BYOB for programs that are not written in Rust: a C ABI of [`roma_byob`].
//!
//! `roma_byob.h` documents it for callers in C, and `roma_byob.hpp` is a C++ header over it. `abi/` has
//! its functions and structures, `error_status.rs` the status that each error becomes, and `service.rs`
//! the service behind a handle. All unsafe code is in `abi/`.

mod abi;
mod error_status;
mod service;
