//! Roma BYOB for programs that are not written in Rust: a C ABI of [`roma_byob`].
//!
//! `roma_byob.h` documents it for its callers, and `roma_byob.hpp` is a C++ header over it. `abi.rs` has
//! its functions; `text.rs`, `views.rs` and `host_function.rs` have the structures that cross it. They
//! contain unsafe code, because what C passes is known only by contract. The code behind them is safe.
//! `error_status.rs` maps an error to the status that C gets.

mod abi;
mod error_status;
mod host_function;
mod service;
mod text;
mod views;
