//! Code that several sample UDFs share.

pub mod clone;
pub mod file_system;
pub mod message;
pub mod prime_sieve;
pub mod sort_list;
