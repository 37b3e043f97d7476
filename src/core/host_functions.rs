//! Functions of the integrator that UDFs may call.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::time::timeout;

use crate::error::ConfigError;
use crate::future::BoxFuture;
use crate::grpc::GrpcCode;
use crate::metadata::Metadata;
use crate::metrics;
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

/// Limits of calls.
#[derive(Debug, Clone)]
pub struct HostCallLimits {
    /// How long a handler may take.
    pub deadline: Duration,
    /// The largest argument, in bytes.
    pub max_request: usize,
    /// The largest result, in bytes.
    pub max_response: usize,
    /// How many calls of one execution may run at once; more wait.
    pub max_concurrent: usize,
    /// How many calls one execution may make.
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
        let fail = |code, message: &str| Err(HostCallError::new(code, message));
        // The registered name is used from here on: the one that a UDF sends can be anything.
        let Some((function, handler)) = self.handlers.get_key_value(name) else {
            return fail(GrpcCode::NotFound, "no such host function");
        };
        if payload.len() > self.limits.max_request {
            return fail(GrpcCode::InvalidArgument, "the argument is too large");
        }
        let since = Instant::now();
        let answer = handler(HostCall {
            function: Arc::clone(function),
            payload,
            execution: caller.execution,
            code: caller.code,
            metadata: caller.metadata.clone(),
        });
        let result = match timeout(self.limits.deadline, answer).await {
            Err(_) => fail(GrpcCode::DeadlineExceeded, "the call took too long"),
            Ok(Ok(result)) if result.len() > self.limits.max_response => {
                fail(GrpcCode::ResourceExhausted, "the result is too large")
            }
            Ok(result) => result,
        };
        let label = if result.is_ok() { "ok" } else { "error" };
        metrics::host_call(function, label, since.elapsed());
        result
    }

    /// Returns whether there are no functions.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.handlers.is_empty()
    }
}

impl fmt::Debug for HostFunctions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.handlers.keys()).finish()
    }
}
