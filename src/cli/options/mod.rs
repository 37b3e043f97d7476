//! The options that commands share, and how their values are read.

pub mod descriptors;
pub mod duration;
pub mod loading;
pub mod number;
pub mod request;
pub mod target;
