//! Functions of the integrator that UDFs may call.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use crate::error::ConfigError;
use crate::future::BoxFuture;
use crate::grpc::GrpcCode;
use crate::metadata::Metadata;
use crate::metrics::{self, CountedCall};
use crate::token::{CodeToken, ExecutionId};

/// One call by a UDF. Everything but the metadata comes from untrusted code.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HostCall {
    /// The function's name, under which the handler is registered.
    pub function: Arc<str>,
    /// The argument.
    pub payload: Bytes,
    /// The execution that the call belongs to.
    pub execution: ExecutionId,
    /// The code that it runs.
    pub code: CodeToken,
    /// What the caller of the execution passed along.
    pub metadata: Metadata,
}

/// The answer to a call that failed. The UDF sees both.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct HostCallError {
    /// What kind of failure it is.
    pub code: GrpcCode,
    /// A text for the UDF.
    pub message: String,
}

impl HostCallError {
    /// Returns a failure with a text for the UDF.
    pub fn new(code: GrpcCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

/// Limits of calls. They are checked when the service is started.
#[derive(Debug, Clone)]
pub struct HostCallLimits {
    /// How long a handler may take: any time but zero.
    pub deadline: Duration,
    /// The largest argument, in bytes: at most [`MAX_BYTES`](Self::MAX_BYTES).
    pub max_request: usize,
    /// The largest result, in bytes: at most [`MAX_BYTES`](Self::MAX_BYTES).
    pub max_response: usize,
    /// How many calls of one execution may run at once; more wait. 1 to
    /// [`MAX_CONCURRENT`](Self::MAX_CONCURRENT).
    pub max_concurrent: usize,
    /// How many calls one execution may make: any number.
    pub max_calls: usize,
}

impl Default for HostCallLimits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(5),
            max_request: 1 << 20,
            max_response: 1 << 20,
            max_concurrent: 16,
            max_calls: 10_000,
        }
    }
}

impl HostCallLimits {
    /// The largest argument and the largest result: protobuf's own bound of a message, less its frame.
    pub const MAX_BYTES: usize = (2 << 30) - 4096;
    /// The most calls of one execution that run at once.
    pub const MAX_CONCURRENT: usize = 4096;

    /// Refuses limits that cannot be.
    ///
    /// # Errors
    ///
    /// The [`ConfigError`] names the limit.
    pub fn check(&self) -> Result<(), ConfigError> {
        let wrong = |option, reason| Err(ConfigError::ServiceOption { option, reason });
        if self.deadline.is_zero() {
            return wrong("host_call_limits.deadline", "a call needs some time");
        }
        if self.max_concurrent == 0 {
            return wrong("host_call_limits.max_concurrent", "no call could ever run");
        }
        for (option, value, most, advice) in [
            (
                "host_call_limits.max_request",
                self.max_request,
                Self::MAX_BYTES,
                "protobuf messages are not larger",
            ),
            (
                "host_call_limits.max_response",
                self.max_response,
                Self::MAX_BYTES,
                "protobuf messages are not larger",
            ),
            (
                "host_call_limits.max_concurrent",
                self.max_concurrent,
                Self::MAX_CONCURRENT,
                "more calls wait for their turn",
            ),
        ] {
            ConfigError::at_most(option, value as u64, most as u64, advice)?;
        }
        Ok(())
    }
}

type Answer = BoxFuture<'static, Result<Bytes, HostCallError>>;
type Handler = Arc<dyn Fn(HostCall) -> Answer + Send + Sync>;

/// On whose behalf a call is made.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The execution that the calls belong to.
    pub execution: ExecutionId,
    /// The code that it runs.
    pub code: CodeToken,
    /// What the caller of the execution passed along.
    pub metadata: Metadata,
}

/// The functions of a service, by name.
#[derive(Clone, Default)]
pub struct HostFunctions {
    handlers: HashMap<Arc<str>, Handler>,
    /// Limits of each call.
    pub limits: HostCallLimits,
}

impl HostFunctions {
    /// Adds a function. Its name must not be empty or taken.
    pub fn register<F, A>(&mut self, name: String, handler: F) -> Result<(), ConfigError>
    where
        F: Fn(HostCall) -> A + Send + Sync + 'static,
        A: Future<Output = Result<Bytes, HostCallError>> + Send + 'static,
    {
        if name.is_empty() || self.handlers.contains_key(name.as_str()) {
            return Err(ConfigError::HostFunction(name));
        }
        let boxed: Handler = Arc::new(move |call| Box::pin(handler(call)));
        self.handlers.insert(name.into(), boxed);
        Ok(())
    }

    /// Calls a function within its limits.
    ///
    /// # Errors
    ///
    /// The error of the function, or `NotFound`, `InvalidArgument`, `DeadlineExceeded` and
    /// `ResourceExhausted` if there is no such function or a limit is exceeded.
    pub async fn call(
        &self,
        name: &str,
        payload: Bytes,
        caller: &Caller,
    ) -> Result<Bytes, HostCallError> {
        // The registered name is used from here on: the one that a UDF sends can be anything.
        let Some((function, handler)) = self.handlers.get_key_value(name) else {
            metrics::unknown_host_call();
            return fail(GrpcCode::NotFound, "no such host function");
        };
        let counted = CountedCall::begin(function);
        let call = HostCall {
            function: Arc::clone(function),
            payload,
            execution: caller.execution,
            code: caller.code,
            metadata: caller.metadata.clone(),
        };
        let result = self.answer(handler, call).await;
        counted.over(&result);
        result
    }

    async fn answer(&self, handler: &Handler, call: HostCall) -> Result<Bytes, HostCallError> {
        if call.payload.len() > self.limits.max_request {
            return fail(GrpcCode::InvalidArgument, "the argument is too large");
        }
        match timeout(self.limits.deadline, handler(call)).await {
            Err(_) => fail(GrpcCode::DeadlineExceeded, "the call took too long"),
            Ok(Ok(result)) if result.len() > self.limits.max_response => {
                fail(GrpcCode::ResourceExhausted, "the result is too large")
            }
            Ok(result) => result,
        }
    }

    /// Returns whether there are no functions.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.handlers.is_empty()
    }
}

fn fail(code: GrpcCode, message: &str) -> Result<Bytes, HostCallError> {
    Err(HostCallError::new(code, message))
}

impl fmt::Debug for HostFunctions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.handlers.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut HostCallLimits)) -> Result<(), ConfigError> {
        let mut limits = HostCallLimits::default();
        change(&mut limits);
        limits.check()
    }

    #[test]
    fn limits_are_accepted_up_to_their_maximum_and_refused_above() {
        const BYTES: usize = HostCallLimits::MAX_BYTES;
        check(|l| (l.max_request, l.max_response) = (BYTES, BYTES)).unwrap();
        check(|l| (l.max_request, l.max_response) = (0, 0)).unwrap();
        check(|l| l.max_request = BYTES + 1).unwrap_err();
        check(|l| l.max_response = usize::MAX).unwrap_err();
        check(|l| l.max_concurrent = 4096).unwrap();
        check(|l| l.max_concurrent = 4097).unwrap_err();
        check(|l| l.max_concurrent = 0).unwrap_err();
        check(|l| l.deadline = Duration::MAX).unwrap();
        check(|l| l.deadline = Duration::ZERO).unwrap_err();
        check(|l| l.max_calls = usize::MAX).unwrap();
    }
}
