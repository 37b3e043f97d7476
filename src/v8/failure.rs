//! What code does wrong.

use roma_core::{Error, Failure, Fault, GrpcCode};
use roma_v8_protocol as protocol;

/// Code that cannot be loaded, or a call that it did not answer. It is in [`Error::Engine`], from which
/// [`Error::engine_failure`] returns it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{cause}{}", because(text))]
pub struct ScriptError {
    /// What kind of failure it is.
    pub cause: Cause,
    /// What the code says of it, such as an exception with its stack, as the code made it.
    pub text: String,
}

/// What kind of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// No code of this version is loaded.
    #[error("no code of this version is loaded")]
    NotLoaded,
    /// The code is not a program.
    #[error("the code cannot be compiled")]
    NotCompiled,
    /// It threw an exception, or a promise was rejected, and nothing handled that.
    #[error("the code failed")]
    Threw,
    /// It reached the limit of its heap.
    #[error("the code reached the limit of its heap")]
    OutOfMemory,
    /// Its result is a promise that nothing can settle any more.
    #[error("the result is a promise that never settles")]
    NeverSettles,
    /// There is no function of the handler's name.
    #[error("the code has no such handler")]
    NoHandler,
    /// An input is not JSON.
    #[error("an input is not JSON")]
    InputNotJson,
    /// The result cannot be converted to JSON.
    #[error("the result cannot be converted to JSON")]
    NoResult,
}

fn because(text: &str) -> String {
    match text.trim_end() {
        "" => String::new(),
        text => format!(": {text}"),
    }
}

impl Failure for ScriptError {
    fn fault(&self) -> Fault {
        match self.cause {
            Cause::NotLoaded | Cause::InputNotJson => Fault::Caller,
            _ => Fault::Udf,
        }
    }

    fn grpc_code(&self) -> GrpcCode {
        match self.cause {
            Cause::NotLoaded | Cause::NoHandler => GrpcCode::NotFound,
            Cause::NotCompiled | Cause::InputNotJson => GrpcCode::InvalidArgument,
            Cause::OutOfMemory => GrpcCode::ResourceExhausted,
            _ => GrpcCode::Internal,
        }
    }

    fn name(&self) -> &'static str {
        match self.cause {
            Cause::NotLoaded => "not_loaded",
            Cause::NotCompiled => "not_compiled",
            Cause::Threw => "threw",
            Cause::OutOfMemory => "out_of_memory",
            Cause::NeverSettles => "never_settles",
            Cause::NoHandler => "no_handler",
            Cause::InputNotJson => "input_not_json",
            Cause::NoResult => "no_result",
        }
    }
}

impl ScriptError {
    pub(crate) fn error(cause: Cause, text: impl Into<String>) -> Error {
        let text = text.into();
        Error::Engine(std::sync::Arc::new(Self { cause, text }))
    }

    /// Returns what a worker said, or `None` if it did not fail, or at its deadline.
    pub(crate) fn of(cause: protocol::Cause, text: String) -> Option<Error> {
        let cause = match cause {
            protocol::Cause::None | protocol::Cause::Deadline => return None,
            protocol::Cause::NotCompiled => Cause::NotCompiled,
            protocol::Cause::Threw => Cause::Threw,
            protocol::Cause::OutOfMemory => Cause::OutOfMemory,
            protocol::Cause::NeverSettles => Cause::NeverSettles,
            protocol::Cause::NoHandler => Cause::NoHandler,
            protocol::Cause::InputNotJson => Cause::InputNotJson,
            protocol::Cause::NoResult => Cause::NoResult,
            protocol::Cause::NotLoaded => Cause::NotLoaded,
        };
        Some(Self::error(cause, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_mistakes_are_the_callers_and_the_codes_are_the_codes() {
        let fault = |cause| {
            ScriptError {
                cause,
                text: String::new(),
            }
            .fault()
        };
        assert_eq!(fault(Cause::InputNotJson), Fault::Caller);
        assert_eq!(fault(Cause::Threw), Fault::Udf);
        let error = ScriptError::error(Cause::Threw, "Uncaught Error: why\n");
        assert_eq!(error.to_string(), "the code failed: Uncaught Error: why");
        assert!(!error.retryable());
    }
}
