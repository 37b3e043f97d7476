//! The trait that every engine implements.

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::error::Error;
use crate::execution::{ExecuteOptions, Execution};
use crate::future::BoxFuture;
use crate::status::CodeStatus;
use crate::token::CodeToken;

/// Code to load, in a form that does not depend on the engine.
#[derive(Debug, Clone, Default)]
pub struct Code {
    /// A name for logs and metrics. It becomes a metric label: keep the number of names small.
    pub name: String,
    /// The code itself: a binary, a script, a module.
    pub bytes: Bytes,
    /// Options of the engine, by name. Each engine documents its own and refuses those that it does
    /// not know.
    pub options: Map<String, Value>,
}

/// Runs other people's code, each request apart from all others.
///
/// The trait is object-safe: a server holds a `Arc<dyn Engine>` and needs to know nothing of sandboxes.
pub trait Engine: Send + Sync {
    /// Returns the short lower-case name of this kind of engine, such as `byob`.
    fn kind(&self) -> &'static str;

    /// Loads code and waits until a worker of it is ready. Nothing is loaded if that fails.
    fn load(&self, code: Code) -> BoxFuture<'_, Result<CodeToken, Error>>;

    /// Executes a request.
    fn execute(&self, token: &CodeToken, request: Bytes, options: ExecuteOptions) -> Execution;

    /// Returns how this code is doing.
    fn status(&self, token: &CodeToken) -> Result<CodeStatus, Error>;

    /// Returns the status of all code that is loaded.
    fn list(&self) -> Vec<CodeStatus>;

    /// Ends the workers of this code and forgets it. Executions in flight fail with
    /// [`Error::Deleted`].
    fn delete(&self, token: &CodeToken) -> BoxFuture<'_, Result<(), Error>>;

    /// Ends everything that the engine started. Later calls fail with [`Error::ShutDown`].
    fn shutdown(&self) -> BoxFuture<'_, ()>;
}

#[cfg(test)]
#[path = "engine_test.rs"]
mod tests;
