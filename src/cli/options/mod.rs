//! The options that commands share, and how their values are read.

pub mod descriptors;
pub mod duration;
mod host_answers;
mod limits;
pub mod loading;
pub mod number;
pub mod request;
pub mod target;
