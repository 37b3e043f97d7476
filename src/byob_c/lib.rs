//! Roma BYOB for programs that are not written in Rust: a C ABI of [`roma_byob`].
//!
//! `roma_byob.h` documents it for whoever calls it, and `roma_byob.hpp` is a C++ header over it.
//! `abi.rs` has its functions, `views.rs` and `host_function.rs` the structures that cross it. They hold
//! unsafe code, for what C passes is known only by contract. What is behind them is safe.

mod abi;
mod host_function;
mod service;
mod status;
mod views;
