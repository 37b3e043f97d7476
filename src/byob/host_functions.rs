//! Functions of the integrator that UDFs may call: who they are and what a call is.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::error::ConfigError;
use crate::grpc::GrpcCode;
use crate::token::{CodeToken, ExecutionId};

/// What the caller of an execution tells host functions about it. UDFs never see it.
///
/// ```
/// use roma_byob::Metadata;
///
/// struct Tenant(&'static str);
/// let metadata = Metadata::new(Tenant("acme"));
/// assert_eq!(metadata.get::<Tenant>().unwrap().0, "acme");
/// assert!(metadata.get::<String>().is_none());
/// ```
#[derive(Clone, Default)]
pub struct Metadata(Option<Arc<dyn Any + Send + Sync>>);

impl Metadata {
    /// Any value.
    pub fn new(value: impl Any + Send + Sync) -> Self {
        Self(Some(Arc::new(value)))
    }

    /// The value, if there is one of this type.
    #[must_use]
    pub fn get<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.0.as_ref()?.downcast_ref()
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Whatever it is, it may be private.
        f.write_str(if self.0.is_some() {
            "Metadata(..)"
        } else {
            "Metadata(none)"
        })
    }
}

/// One call by a UDF. What it holds, apart from the metadata, comes from untrusted code.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HostCall {
    /// The function's name, under which the handler is registered.
    pub function: Arc<str>,
    /// The argument.
    pub payload: Bytes,
    /// The execution that the calling process serves.
    pub execution: ExecutionId,
    /// The code that it runs.
    pub code: CodeToken,
    /// What the execution's caller said about it.
    pub metadata: Metadata,
}

/// The answer to a call that failed. The UDF sees both.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct HostCallError {
    /// What kind of failure it is.
    pub code: GrpcCode,
    /// What to tell the UDF.
    pub message: String,
}

impl HostCallError {
    /// A failure with a text for the UDF.
    pub fn new(code: GrpcCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

/// What calls may take.
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

type Answer = Pin<Box<dyn Future<Output = Result<Bytes, HostCallError>> + Send>>;
type Handler = Arc<dyn Fn(HostCall) -> Answer + Send + Sync>;

/// The functions of a service, by name.
#[derive(Clone, Default)]
pub(crate) struct HostFunctions {
    handlers: HashMap<Arc<str>, Handler>,
    pub(crate) limits: HostCallLimits,
}

impl HostFunctions {
    pub(crate) fn register<F, A>(&mut self, name: String, handler: F) -> Result<(), ConfigError>
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

    /// The registered name and the handler. The name that a UDF sends is never kept: it could be
    /// anything, and there could be any number of them.
    pub(crate) fn find(&self, name: &str) -> Option<(Arc<str>, &Handler)> {
        self.handlers
            .get_key_value(name)
            .map(|(name, handler)| (Arc::clone(name), handler))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.handlers.is_empty()
    }
}

impl fmt::Debug for HostFunctions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.handlers.keys()).finish()
    }
}
