//! What commands print and write: verdicts, times, coloured text and files.

pub mod checks;
pub mod file;
pub mod summary;
pub mod terminal;
