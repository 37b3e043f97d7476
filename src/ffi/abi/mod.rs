//! The C ABI: the functions and the structures of `roma_byob.h`.
//!
//! This folder has all unsafe code of the crate, because what C passes is known only by contract.

mod code_options;
mod config;
mod functions;
mod host_function;
mod metadata;
mod outcome;
mod request;
mod text;
