//! Invocations of handlers.

use bytes::Bytes;
use roma_v8_protocol::Call;

use crate::host::Severity;

/// A call of a handler.
#[derive(Debug, Clone, Default)]
pub struct Invocation {
    /// The version of the code.
    pub version: String,
    /// The function: `name`, or `namespace.name`.
    pub handler: String,
    inputs: Vec<Vec<u8>>,
    as_bytes: bool,
    least_severity: Option<Severity>,
}

impl Invocation {
    /// Returns a call of a handler without arguments.
    pub fn new(version: impl Into<String>, handler: impl Into<String>) -> Self {
        Self {
            version: version.into(),
            handler: handler.into(),
            ..Self::default()
        }
    }

    /// Adds an argument, in JSON.
    #[must_use]
    pub fn input(mut self, json: impl Into<String>) -> Self {
        self.inputs.push(json.into().into_bytes());
        self
    }

    /// Makes bytes the only argument, a `Uint8Array`.
    #[must_use]
    pub fn bytes(mut self, bytes: impl Into<Bytes>) -> Self {
        self.inputs = vec![bytes.into().into()];
        self.as_bytes = true;
        self
    }

    /// Drops output that is less severe.
    #[must_use]
    pub fn least_severity(mut self, severity: Severity) -> Self {
        self.least_severity = Some(severity);
        self
    }

    /// Returns the size of all arguments.
    pub(crate) fn size(&self) -> usize {
        self.inputs.iter().map(Vec::len).sum()
    }

    pub(crate) fn into_call(self, code: u64, deadline_micros: u64) -> Call {
        Call {
            code,
            handler: self.handler,
            inputs: self.inputs,
            as_bytes: self.as_bytes,
            least_severity: self.least_severity.unwrap_or(Severity::Info).to_number(),
            deadline_micros,
        }
    }
}
