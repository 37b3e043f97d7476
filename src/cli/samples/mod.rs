//! The UDFs and other programs that commands run, and requests to them.

pub mod hostile;
pub mod programs;
pub mod request;
