//! Why a load or a call failed.

/// Why code was not loaded, or a handler did not answer. Texts come from the code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The code is not a program.
    #[error("it cannot be compiled: {0}")]
    NotCompiled(String),
    /// It threw an exception that nothing caught, or a promise was rejected and nothing handled that.
    #[error("{0}")]
    Threw(String),
    /// It was ended by a [`Terminator`](crate::Terminator).
    #[error("it was terminated")]
    Terminated,
    /// It reached the limit of the heap.
    #[error("it reached the limit of its heap")]
    OutOfMemory,
    /// Its result is a promise that nothing can settle any more.
    #[error("its result is a promise that never settles")]
    NeverSettles,
    /// There is no function of the handler's name.
    #[error("it has no such handler")]
    NoHandler,
    /// An input is not JSON.
    #[error("an input is not JSON: {0}")]
    InputNotJson(String),
    /// The result cannot be converted to JSON.
    #[error("its result cannot be converted: {0}")]
    NoResult(String),
    /// The state after the load cannot be kept as a snapshot.
    #[error("its state after the load cannot be kept: {0}")]
    NoSnapshot(String),
}

impl Failure {
    /// Returns the failure of this outcome (`RomaV8Outcome`), if it is one.
    pub(crate) fn of(outcome: i32, text: impl FnOnce() -> String) -> Result<(), Self> {
        Err(match outcome {
            0 => return Ok(()),
            1 => Self::NotCompiled(text()),
            3 => Self::Terminated,
            4 => Self::OutOfMemory,
            5 => Self::NeverSettles,
            6 => Self::NoHandler,
            7 => Self::InputNotJson(text()),
            8 => Self::NoResult(text()),
            9 => Self::NoSnapshot(text()),
            _ => Self::Threw(text()),
        })
    }
}
