//! What scripts call of their host.

use std::future::Future;

use bytes::{BufMut, Bytes, BytesMut};
use roma_core::{ConfigError, GrpcCode, HostCall, HostCallError, HostFunctions, Metadata};
use roma_v8_protocol::Kind;

use crate::code::is_name;

/// An argument or a result of a host function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostValue {
    /// A string.
    Text(String),
    /// A `Uint8Array`.
    Bytes(Bytes),
    /// Any other value, such as a list or a map, in JSON.
    Json(String),
}

/// A call of a host function by a script. The argument comes from untrusted code.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ScriptCall {
    /// What the script passes: its argument, or, if there are none or several, a list of them.
    pub argument: HostValue,
    /// What the caller of the execution passed along.
    pub metadata: Metadata,
}

/// How severe a line of output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// `console.log`, `console.info` and `console.debug`.
    Info,
    /// `console.warn`.
    Warning,
    /// `console.error`.
    Error,
}

impl Severity {
    pub(crate) fn to_number(self) -> u32 {
        match self {
            Self::Info => 0,
            Self::Warning => 1,
            Self::Error => 2,
        }
    }

    pub(crate) fn of_number(number: u32) -> Self {
        match number {
            0 => Self::Info,
            1 => Self::Warning,
            _ => Self::Error,
        }
    }
}

/// A line that a script printed. The text comes from untrusted code: see [`shown`](roma_core::shown).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Line {
    /// How severe it is.
    pub severity: Severity,
    /// The text.
    pub text: String,
    /// What the caller of the execution passed along.
    pub metadata: Metadata,
}

/// The functions and their names.
#[derive(Debug, Default)]
pub(crate) struct Functions {
    pub(crate) all: HostFunctions,
    pub(crate) names: Vec<String>,
}

impl Functions {
    /// Adds a function. Its name has parts that are names of variables, with dots between them.
    pub(crate) fn register<F, A>(&mut self, name: String, handler: F) -> Result<(), ConfigError>
    where
        F: Fn(ScriptCall) -> A + Send + Sync + 'static,
        A: Future<Output = Result<HostValue, HostCallError>> + Send + 'static,
    {
        if !name.split('.').all(is_name) {
            return Err(ConfigError::HostFunction(name));
        }
        self.names.push(name.clone());
        self.all.register(name, move |call: HostCall| {
            let answer = HostValue::decode(&call.payload).map(|argument| {
                handler(ScriptCall {
                    argument,
                    metadata: call.metadata,
                })
            });
            async move {
                match answer {
                    Some(answer) => Ok(answer.await?.encode()),
                    None => Err(HostCallError::new(
                        GrpcCode::InvalidArgument,
                        "the argument is not UTF-8",
                    )),
                }
            }
        })
    }
}

impl HostValue {
    /// Returns the kind and the bytes in one piece, as functions of all engines take them.
    pub(crate) fn join(kind: Kind, bytes: &[u8]) -> Bytes {
        let mut whole = BytesMut::with_capacity(bytes.len() + 1);
        whole.put_u8(kind as u8);
        whole.put_slice(bytes);
        whole.freeze()
    }

    /// Takes a piece apart again.
    pub(crate) fn split(mut whole: Bytes) -> (Kind, Bytes) {
        let kind = match whole.is_empty() {
            true => 0,
            false => whole.split_to(1)[0],
        };
        (Kind::try_from(i32::from(kind)).unwrap_or(Kind::Text), whole)
    }

    fn encode(self) -> Bytes {
        match self {
            Self::Text(text) => Self::join(Kind::Text, text.as_bytes()),
            Self::Bytes(bytes) => Self::join(Kind::Bytes, &bytes),
            Self::Json(json) => Self::join(Kind::Json, json.as_bytes()),
        }
    }

    fn decode(whole: &Bytes) -> Option<Self> {
        let (kind, bytes) = Self::split(whole.clone());
        Some(match kind {
            Kind::Bytes => Self::Bytes(bytes),
            Kind::Text => Self::Text(String::from_utf8(bytes.into()).ok()?),
            Kind::Json => Self::Json(String::from_utf8(bytes.into()).ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_the_way_through_functions() {
        for value in [
            HostValue::Text("ä".into()),
            HostValue::Bytes(Bytes::from_static(&[0, 255])),
            HostValue::Json("{}".into()),
            HostValue::Text(String::new()),
        ] {
            assert_eq!(HostValue::decode(&value.clone().encode()), Some(value));
        }
        assert_eq!(
            HostValue::decode(&HostValue::join(Kind::Text, &[255])),
            None
        );
    }

    #[test]
    fn functions_have_names_that_a_script_can_write() {
        let mut functions = Functions::default();
        let mut add = |name: &str| {
            functions.register(name.into(), |_| async {
                Ok(HostValue::Text(String::new()))
            })
        };
        add("cool_function").unwrap();
        add("a.b.c").unwrap();
        for name in ["", "a.", "1a", "a-b", "a\"]);f([\"", "cool_function"] {
            add(name).unwrap_err();
        }
    }
}
