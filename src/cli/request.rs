//! Requests as users write them: in a word, or in a file.

use std::fs;

use anyhow::Context;
use prost_reflect::MessageDescriptor;

use crate::descriptors::{Encoded, encode};

/// JSON, or the name of a file with JSON.
pub fn from_json(kind: &MessageDescriptor, text: &str) -> anyhow::Result<Encoded> {
    if text.trim_start().starts_with('{') {
        return encode(kind, text);
    }
    let path = text.strip_prefix('@').unwrap_or(text);
    let json = fs::read_to_string(path).with_context(|| path.to_owned())?;
    encode(kind, &json).with_context(|| path.to_owned())
}

/// Bytes as they are: a text, or `@` and the name of a file.
pub fn from_bytes(text: &str) -> anyhow::Result<Vec<u8>> {
    match text.strip_prefix('@') {
        Some(path) => fs::read(path).with_context(|| path.to_owned()),
        None => Ok(text.as_bytes().to_vec()),
    }
}
