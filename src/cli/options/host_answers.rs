//! Answers of host functions from a file, for UDFs that call their host.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use bytes::Bytes;
use clap::Args;
use prost_reflect::ServiceDescriptor;
use roma_byob::{GrpcCode, HostCallError, ServiceBuilder};
use serde_json::{Map, Value};

use super::descriptors::{self, encode};

/// Which answers UDFs get.
#[derive(Debug, Clone, Default, Args)]
pub struct HostAnswerArgs {
    /// Answers of host functions: JSON with an entry for each function. A text is the answer's bytes; an
    /// object has one of "file" (a file with the bytes), "json" (a message, with --host-proto) and
    /// "error" (a gRPC code such as NOT_FOUND, with a "message" if wanted).
    #[arg(long, value_name = "FILE")]
    host_answers: Option<PathBuf>,
    /// The API of the host functions as a proto file, for answers in JSON.
    #[arg(long, value_name = "FILE", requires = "host_answers")]
    host_proto: Option<PathBuf>,
}

/// What a function answers each time.
pub type Answer = Result<Bytes, HostCallError>;

impl HostAnswerArgs {
    /// Returns whether UDFs may call host functions.
    pub fn any(&self) -> bool {
        self.host_answers.is_some()
    }

    /// Registers a function for each answer.
    pub fn register(&self, builder: ServiceBuilder) -> anyhow::Result<ServiceBuilder> {
        let answers = self.read()?;
        Ok(answers
            .into_iter()
            .fold(builder, |builder, (name, answer)| {
                builder.host_function(name, move |_| std::future::ready(answer.clone()))
            }))
    }

    /// Returns the functions and their answers.
    pub fn read(&self) -> anyhow::Result<Vec<(String, Answer)>> {
        let Some(path) = &self.host_answers else {
            return Ok(Vec::new());
        };
        let services = match &self.host_proto {
            Some(proto) => descriptors::services_in_proto(proto, &[])?,
            None => Vec::new(),
        };
        let folder = path.parent().unwrap_or(Path::new(""));
        let read = || -> anyhow::Result<_> {
            let all: Map<String, Value> = serde_json::from_slice(&fs::read(path)?)?;
            let answers = all.into_iter().map(|(name, value)| {
                let answer = answer(&name, &value, folder, &services);
                Ok((name.clone(), answer.with_context(|| name)?))
            });
            answers.collect()
        };
        read().with_context(|| path.display().to_string())
    }
}

fn answer(
    name: &str,
    value: &Value,
    folder: &Path,
    services: &[ServiceDescriptor],
) -> anyhow::Result<Answer> {
    if let Some(text) = value.as_str() {
        return Ok(Ok(text.to_owned().into()));
    }
    if let Some(file) = value["file"].as_str() {
        let bytes = fs::read(folder.join(file)).with_context(|| file.to_owned())?;
        return Ok(Ok(bytes.into()));
    }
    if let Some(json) = value.get("json") {
        return message(name, json, services).map(Ok);
    }
    let Some(code) = value["error"].as_str() else {
        bail!("an answer is a text, or an object with \"file\", \"json\" or \"error\"");
    };
    let text = value["message"].as_str().unwrap_or_default();
    Ok(Err(HostCallError::new(grpc_code(code)?, text)))
}

/// Encodes JSON as the result of the rpc that a function is named after: `package.Service/Method`.
fn message(name: &str, json: &Value, services: &[ServiceDescriptor]) -> anyhow::Result<Bytes> {
    let mut rpcs = services.iter().flat_map(ServiceDescriptor::methods);
    let rpc = rpcs
        .find(|rpc| format!("{}/{}", rpc.parent_service().full_name(), rpc.name()) == name)
        .context("no rpc of --host-proto has this name, so its result is not known")?;
    let encoded = encode(&rpc.output(), &json.to_string())?;
    if let Some(ignored) = encoded.ignored {
        bail!("{ignored}");
    }
    Ok(encoded.bytes.into())
}

fn grpc_code(name: &str) -> anyhow::Result<GrpcCode> {
    const CODES: [(&str, GrpcCode); 9] = [
        ("CANCELLED", GrpcCode::Cancelled),
        ("INVALID_ARGUMENT", GrpcCode::InvalidArgument),
        ("DEADLINE_EXCEEDED", GrpcCode::DeadlineExceeded),
        ("NOT_FOUND", GrpcCode::NotFound),
        ("RESOURCE_EXHAUSTED", GrpcCode::ResourceExhausted),
        ("FAILED_PRECONDITION", GrpcCode::FailedPrecondition),
        ("ABORTED", GrpcCode::Aborted),
        ("INTERNAL", GrpcCode::Internal),
        ("UNAVAILABLE", GrpcCode::Unavailable),
    ];
    let found = CODES.iter().find(|(known, _)| *known == name);
    let names = || CODES.map(|(known, _)| known).join(", ");
    let (_, code) = found.with_context(|| format!("`{name}` is not one of {}", names()))?;
    Ok(*code)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROTO: &str = r#"
        syntax = "proto3";
        package shop;
        message Key { string key = 1; }
        message Found { int32 price = 1; }
        service Prices { rpc Get(Key) returns (Found); }
    "#;

    fn read(json: &str) -> anyhow::Result<Vec<(String, Answer)>> {
        let folder = tempfile::tempdir()?;
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text)?;
            anyhow::Ok(path)
        };
        file("answer.bin", "from a file")?;
        let arguments = HostAnswerArgs {
            host_answers: Some(file("answers.json", json)?),
            host_proto: Some(file("host.proto", PROTO)?),
        };
        arguments.read()
    }

    #[test]
    fn answers_are_texts_files_messages_and_errors() {
        let answers = read(
            r#"{ "a": "text", "b": {"file": "answer.bin"}, "c": {"error": "NOT_FOUND", "message": "none"},
                 "shop.Prices/Get": {"json": {"price": 7}} }"#,
        )
        .unwrap();
        let not_found = HostCallError::new(GrpcCode::NotFound, "none");
        assert_eq!(
            answers,
            [
                ("a".to_owned(), Ok("text".into())),
                ("b".to_owned(), Ok("from a file".into())),
                ("c".to_owned(), Err(not_found)),
                ("shop.Prices/Get".to_owned(), Ok(vec![8, 7].into())),
            ]
        );
    }

    #[test]
    fn a_wrong_answer_is_refused_with_its_function() {
        for (json, words) in [
            ("[]", "map"),
            (r#"{"a": 1}"#, "a: an answer is"),
            (r#"{"a": {"file": "no"}}"#, "a: no: "),
            (r#"{"a": {"json": {}}}"#, "a: no rpc"),
            (r#"{"shop.Prices/Get": {"json": {"cost": 1}}}"#, "cost"),
            (r#"{"a": {"error": "GONE"}}"#, "NOT_FOUND"),
        ] {
            let error = format!("{:#}", read(json).unwrap_err());
            assert!(error.contains("answers.json: "), "{error}");
            assert!(error.contains(words), "{json}: {error}");
        }
    }
}
