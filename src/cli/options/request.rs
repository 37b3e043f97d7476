//! Requests as users write them: as an argument, or in a file.

use std::fs;

use anyhow::{Context, bail};
use bytes::Bytes;
use clap::Args;
use prost_reflect::{MessageDescriptor, MethodDescriptor};

use crate::options::descriptors::{self, ApiArgs, Encoded, encode};

/// The options of commands that send a request.
#[derive(Debug, Clone, Args)]
pub struct RequestArgs {
    #[command(flatten)]
    api: ApiArgs,
    /// The rpc that the UDF answers, if the service has several.
    #[arg(long, value_name = "NAME")]
    rpc: Option<String>,
    /// A request: JSON, or a file with JSON. Without --proto and --descriptor the bytes themselves,
    /// or @FILE.
    #[arg(long, value_name = "JSON|FILE")]
    request: Option<String>,
}

/// The method and the request that the options give.
#[derive(Debug)]
pub struct Given {
    pub method: Option<MethodDescriptor>,
    pub request: Option<Bytes>,
}

impl RequestArgs {
    /// Reads the API and the request, and prints which fields of it the API does not have.
    pub fn read(&self) -> anyhow::Result<Given> {
        let method = self.method()?;
        let request = match (&self.request, &method) {
            (None, _) => None,
            (Some(text), None) => Some(from_bytes(text)?),
            (Some(text), Some(method)) => {
                let encoded = from_json(&method.input(), text)?;
                if let Some(ignored) = encoded.ignored {
                    eprintln!("ignored: {ignored}");
                }
                Some(encoded.bytes)
            }
        };
        Ok(Given {
            method,
            request: request.map(Bytes::from),
        })
    }

    fn method(&self) -> anyhow::Result<Option<MethodDescriptor>> {
        match self.api.service()? {
            Some(service) => descriptors::method(&service, self.rpc.as_deref()).map(Some),
            None if self.rpc.is_some() => bail!("--rpc needs --proto or --descriptor"),
            None => Ok(None),
        }
    }
}

/// Encodes JSON, or the JSON in a file of this name.
pub fn from_json(kind: &MessageDescriptor, text: &str) -> anyhow::Result<Encoded> {
    if text.trim_start().starts_with('{') {
        return encode(kind, text);
    }
    let path = text.strip_prefix('@').unwrap_or(text);
    let json = fs::read_to_string(path).with_context(|| path.to_owned())?;
    encode(kind, &json).with_context(|| path.to_owned())
}

/// Returns the bytes of a text, or of a file if the text is `@` and its name.
pub fn from_bytes(text: &str) -> anyhow::Result<Vec<u8>> {
    match text.strip_prefix('@') {
        Some(path) => fs::read(path).with_context(|| path.to_owned()),
        None => Ok(text.as_bytes().to_vec()),
    }
}
