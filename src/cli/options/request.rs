//! Requests as users write them: as an argument, or in a file.

use std::fs::File;
use std::io::Read;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use clap::Args;
use prost_reflect::{MessageDescriptor, MethodDescriptor};

use crate::options::descriptors::{self, ApiArgs, Encoded, encode};

/// The largest file with a request. Code that these commands load takes 64 MiB, and JSON is longer than
/// what it encodes.
const MOST_BYTES: u64 = 256 << 20;

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
    let json = read(path).and_then(|bytes| Ok(String::from_utf8(bytes)?));
    encode(kind, &json.with_context(|| path.to_owned())?).with_context(|| path.to_owned())
}

/// Reads a file, which may be a pipe or a device, if it ends in time.
fn read(path: &str) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut bounded = File::open(path)?.take(MOST_BYTES + 1);
    bounded.read_to_end(&mut bytes)?;
    ensure!(
        bytes.len() as u64 <= MOST_BYTES,
        "a request in a file has at most {MOST_BYTES} bytes"
    );
    Ok(bytes)
}

/// Returns the bytes of a text, or of a file if the text is `@` and its name.
pub fn from_bytes(text: &str) -> anyhow::Result<Vec<u8>> {
    match text.strip_prefix('@') {
        Some(path) => read(path).with_context(|| path.to_owned()),
        None => Ok(text.as_bytes().to_vec()),
    }
}
