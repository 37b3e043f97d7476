//! The outcome of a trick.

use std::fmt;
use std::io;

/// The outcome of a trick. As text: `errno 1`, `nothing`, or `done` and the gain.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The trick worked. Holds its gain.
    Done(String),
    /// The kernel refused it with this error number.
    Refused(i32),
    /// The kernel allowed it, but it gained nothing.
    Nothing,
}

impl Answer {
    pub(crate) fn done() -> Self {
        Self::Done(String::new())
    }

    /// Returns `Done` if anything was found.
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
