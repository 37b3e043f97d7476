//! What came of a trick.

use std::fmt;
use std::io;

/// What came of a trick. As text: `errno 1`, `nothing`, or `done` and what it got.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It worked, and this is what it got.
    Done(String),
    /// The kernel said no.
    Refused(i32),
    /// It was let through and got nothing by it.
    Nothing,
}

impl Answer {
    pub(crate) fn done() -> Self {
        Self::Done(String::new())
    }

    /// Done if anything was found.
    pub(crate) fn found(what: impl Into<String>) -> Self {
        let what = what.into();
        if what.is_empty() {
            Self::Nothing
        } else {
            Self::Done(what)
        }
    }

    pub(crate) fn done_if(condition: bool) -> Self {
        if condition {
            Self::done()
        } else {
            Self::Nothing
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(what) => write!(f, "done {what}"),
            Self::Refused(errno) => write!(f, "errno {errno}"),
            Self::Nothing => f.write_str("nothing"),
        }
    }
}

impl<T> From<io::Result<T>> for Answer {
    fn from(result: io::Result<T>) -> Self {
        match result {
            Ok(_) => Self::done(),
            Err(error) => error.into(),
        }
    }
}

impl From<io::Error> for Answer {
    fn from(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(errno) => Self::Refused(errno),
            None => Self::Done(error.to_string()),
        }
    }
}
