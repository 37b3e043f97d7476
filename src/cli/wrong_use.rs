//! Telling a wrong use of the tool from what it finds.

use std::fmt;

/// What the user asked for cannot be. The tool's exit code is 2 then.
#[derive(Debug)]
pub struct WrongUse(String);

impl WrongUse {
    /// The same error, but the user's.
    pub fn of(error: anyhow::Error) -> anyhow::Error {
        Self(format!("{error:#}")).into()
    }
}

impl fmt::Display for WrongUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WrongUse {}
