//! The API of UDFs, read from descriptors, and its messages as JSON (proto3's mapping).

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail, ensure};
use clap::Args;
use prost_reflect::prost::Message;
use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor, MethodDescriptor,
    ServiceDescriptor,
};

/// Where the API is described.
#[derive(Debug, Clone, Args)]
pub struct ApiArgs {
    /// The API as a descriptor set: protoc --include_imports --descriptor_set_out=SET.binpb.
    #[arg(long, value_name = "SET.binpb", conflicts_with = "proto")]
    descriptor: Option<PathBuf>,
    /// The API as a proto file.
    #[arg(long, value_name = "FILE")]
    proto: Option<PathBuf>,
    /// A folder with files that the proto file imports. By default here and beside it.
    #[arg(
        long,
        short = 'I',
        alias = "proto_path",
        value_name = "FOLDER",
        requires = "proto"
    )]
    proto_path: Vec<PathBuf>,
    /// The service, if there are several.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
}

impl ApiArgs {
    /// Returns the service that the options name, or `None` if they name no API.
    pub fn service(&self) -> anyhow::Result<Option<ServiceDescriptor>> {
        let services = match (&self.descriptor, &self.proto) {
            (Some(set), _) => services_in_set(set)?,
            (None, Some(proto)) => services_in_proto(proto, &self.proto_path)?,
            (None, None) => {
                ensure!(
                    self.service.is_none(),
                    "--service needs --proto or --descriptor"
                );
                return Ok(None);
            }
        };
        choose(&services, self.service.as_deref()).map(Some)
    }
}

fn services_in_set(path: &Path) -> anyhow::Result<Vec<ServiceDescriptor>> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    let pool = DescriptorPool::decode(&*bytes).with_context(|| {
        format!(
            "{} is not a complete descriptor set (made with --include_imports?)",
            path.display()
        )
    })?;
    Ok(pool.services().collect())
}

/// Returns the services of the file itself, without those of the files that it imports.
pub fn services_in_proto(
    path: &Path,
    folders: &[PathBuf],
) -> anyhow::Result<Vec<ServiceDescriptor>> {
    ensure!(path.is_file(), "{} is not there", path.display());
    let beside = path.parent().unwrap_or(Path::new(""));
    let default = [Path::new("."), beside].map(Path::to_owned);
    let folders = if folders.is_empty() {
        &default
    } else {
        folders
    };
    let mut compiler = protox::Compiler::new(folders)?;
    compiler
        .include_imports(true)
        .open_file(path)
        // Only the debug form has the line number.
        .map_err(|error| anyhow!("{error:?}"))?;
    let own: Vec<_> = compiler
        .files()
        .filter(|file| !file.is_import())
        .map(|file| file.name().to_owned())
        .collect();
    let services = compiler.descriptor_pool();
    let services = services.services();
    Ok(services
        .filter(|service| own.iter().any(|name| name == service.parent_file().name()))
        .collect())
}

fn choose(
    services: &[ServiceDescriptor],
    wanted: Option<&str>,
) -> anyhow::Result<ServiceDescriptor> {
    let names = || joined(services.iter().map(ServiceDescriptor::full_name));
    match (wanted, services) {
        (_, []) => bail!("it declares no service"),
        (None, [service]) => Ok(service.clone()),
        (None, _) => bail!("choose one of its services with --service: {}", names()),
        (Some(wanted), _) => services
            .iter()
            .find(|service| service.name() == wanted || service.full_name() == wanted)
            .cloned()
            .ok_or_else(|| anyhow!("it has no service {wanted}; it has {}", names())),
    }
}

/// Returns the method of this name, or the only one.
pub fn method(
    service: &ServiceDescriptor,
    wanted: Option<&str>,
) -> anyhow::Result<MethodDescriptor> {
    let methods: Vec<_> = service.methods().collect();
    let names = || joined(methods.iter().map(MethodDescriptor::name));
    match (wanted, &methods[..]) {
        (None, [method]) => Ok(method.clone()),
        (None, _) => bail!("choose one of its rpcs with --rpc: {}", names()),
        (Some(wanted), _) => methods
            .iter()
            .find(|method| method.name() == wanted || snake_case(method.name()) == wanted)
            .cloned()
            .ok_or_else(|| anyhow!("it has no rpc {wanted}; it has {}", names())),
    }
}

fn joined<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

/// Converts `GetScores` to `get_scores`.
pub fn snake_case(name: &str) -> String {
    heck::AsSnakeCase(name).to_string()
}

/// A message encoded from JSON.
#[derive(Debug, PartialEq, Eq)]
pub struct Encoded {
    pub bytes: Vec<u8>,
    /// Why a field was ignored, if the message does not have it.
    pub ignored: Option<String>,
}

/// Parses JSON. Fields that the message does not have are ignored, as protobuf's own tools do.
pub fn encode(kind: &MessageDescriptor, json: &str) -> anyhow::Result<Encoded> {
    let parse = |strict| {
        let options = DeserializeOptions::new().deny_unknown_fields(strict);
        let mut input = serde_json::Deserializer::from_str(json);
        let message = DynamicMessage::deserialize_with_options(kind.clone(), &mut input, &options)?;
        input.end()?;
        Ok::<_, serde_json::Error>(message)
    };
    let (message, ignored) = match parse(true) {
        Ok(message) => (message, None),
        Err(error) => (
            parse(false).with_context(|| format!("not a {}", kind.full_name()))?,
            Some(error.to_string()),
        ),
    };
    Ok(Encoded {
        bytes: message.encode_to_vec(),
        ignored,
    })
}

/// Returns a message as indented JSON.
pub fn decode(kind: &MessageDescriptor, bytes: &[u8]) -> anyhow::Result<String> {
    let message = DynamicMessage::decode(kind.clone(), bytes)
        .with_context(|| format!("not a {}", kind.full_name()))?;
    Ok(serde_json::to_string_pretty(&message)?)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const PROTO: &str = r#"
        syntax = "proto3";
        package test;
        import "google/protobuf/duration.proto";
        import "google/protobuf/struct.proto";
        import "google/protobuf/timestamp.proto";
        import "google/protobuf/wrappers.proto";
        service First { rpc GetAll(All) returns (All); rpc Other(All) returns (All); }
        service Second { rpc Only(All) returns (All); }
        enum Colour { COLOUR_UNSPECIFIED = 0; COLOUR_RED = 7; }
        message All {
          double a_double = 1; float a_float = 2; int32 an_int32 = 3; int64 an_int64 = 4;
          uint32 a_uint32 = 5; uint64 a_uint64 = 6; sint32 a_sint32 = 7; sint64 a_sint64 = 8;
          fixed32 a_fixed32 = 9; fixed64 a_fixed64 = 10; sfixed32 a_sfixed32 = 11;
          sfixed64 a_sfixed64 = 12; bool a_bool = 13; string a_string = 14; bytes some_bytes = 15;
          Colour colour = 16; All inner = 17; repeated int32 many = 18; map<string, All> by_name = 19;
          map<int32, bytes> by_number = 20; optional int32 maybe = 21;
          oneof choice { string text = 22; uint32 number = 23; }
          google.protobuf.Duration duration = 24; google.protobuf.Timestamp time = 25;
          google.protobuf.Int64Value wrapped = 26; google.protobuf.Struct anything = 27;
          string renamed = 28 [json_name = "other"];
        }
    "#;

    fn services() -> Vec<ServiceDescriptor> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.proto");
        fs::write(&path, PROTO).unwrap();
        services_in_proto(&path, &[]).unwrap()
    }

    fn all() -> MessageDescriptor {
        services()[0].methods().next().unwrap().input()
    }

    fn there_and_back(json: Value) -> Value {
        let encoded = encode(&all(), &json.to_string()).unwrap();
        assert_eq!(encoded.ignored, None);
        serde_json::from_str(&decode(&all(), &encoded.bytes).unwrap()).unwrap()
    }

    #[test]
    fn every_kind_of_field_goes_through() {
        let json = json!({
            "aDouble": 0.5, "aFloat": -1.5, "anInt32": -2147483648_i64,
            "anInt64": "-9223372036854775808", "aUint32": 4294967295_u32,
            "aUint64": "18446744073709551615", "aSint32": -1, "aSint64": "-1", "aFixed32": 1,
            "aFixed64": "2", "aSfixed32": -3, "aSfixed64": "-4", "aBool": true, "aString": "\u{e9}\n",
            "someBytes": "AP9/", "colour": "COLOUR_RED", "inner": {"inner": {"aBool": true}},
            "many": [3, 1, 2], "byName": {"x": {"anInt32": 1}}, "byNumber": {"-5": "AQ=="},
            "maybe": 0, "number": 0, "duration": "1.500s", "time": "2026-01-02T03:04:05Z",
            "wrapped": "77", "anything": {"a": [1.0, null, {"b": "c"}]}, "other": "y",
        });
        assert_eq!(there_and_back(json.clone()), json);
    }

    #[test]
    fn json_may_be_written_in_each_way_that_the_mapping_allows() {
        let written = json!({
            "a_double": "NaN", "an_int64": 5, "colour": 7, "some_bytes": "_-8",
            "renamed": "x", "many": null,
        });
        let read = json!({
            "aDouble": "NaN", "anInt64": "5", "colour": "COLOUR_RED", "someBytes": "/+8=",
            "other": "x",
        });
        assert_eq!(there_and_back(written), read);
    }

    #[test]
    fn bytes_are_those_of_the_declared_numbers() {
        let encoded = encode(&all(), r#"{"maybe": 0, "text": "ab"}"#).unwrap();
        assert_eq!(encoded.bytes, b"\xa8\x01\x00\xb2\x01\x02ab");
    }

    #[test]
    fn unknown_fields_are_left_out_and_told() {
        let encoded = encode(&all(), r#"{"aBool": true, "abool": 1}"#).unwrap();
        assert_eq!(encoded.bytes, b"\x68\x01");
        assert!(encoded.ignored.unwrap().contains("abool"));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for json in [
            r#"{"anInt32": "x"}"#,
            r#"{"anInt32": 2147483648}"#,
            r#"{"aBool": 1}"#,
            r#"{"text": "a", "number": 1}"#,
            r#"{"someBytes": "!"}"#,
            "{} {}",
            "[]",
            "",
        ] {
            let error = encode(&all(), json).unwrap_err();
            assert!(
                format!("{error:#}").contains("test.All"),
                "{json}: {error:#}"
            );
        }
        assert!(decode(&all(), b"\x0a").is_err());
    }

    #[test]
    fn services_and_rpcs_are_chosen_by_name() {
        let services = services();
        let name = |wanted| choose(&services, wanted).map(|s| s.full_name().to_owned());
        assert_eq!(name(Some("Second")).unwrap(), "test.Second");
        assert_eq!(name(Some("test.First")).unwrap(), "test.First");
        assert!(name(None).unwrap_err().to_string().contains("test.First"));
        assert!(
            name(Some("Third"))
                .unwrap_err()
                .to_string()
                .contains("Third")
        );
        let rpc = |service: usize, wanted| method(&services[service], wanted);
        assert_eq!(rpc(0, Some("get_all")).unwrap().name(), "GetAll");
        assert_eq!(rpc(0, Some("GetAll")).unwrap().name(), "GetAll");
        assert_eq!(rpc(1, None).unwrap().name(), "Only");
        assert!(rpc(0, None).unwrap_err().to_string().contains("Other"));
    }

    #[test]
    fn a_descriptor_set_tells_the_same_as_the_proto() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("set.binpb");
        fs::write(&path, services()[0].parent_pool().encode_to_vec()).unwrap();
        let names = |services: Vec<ServiceDescriptor>| -> Vec<_> {
            services.iter().map(|s| s.full_name().to_owned()).collect()
        };
        assert_eq!(names(services_in_set(&path).unwrap()), names(services()));
        fs::write(&path, b"hello").unwrap();
        let error = services_in_set(&path).unwrap_err();
        assert!(error.to_string().contains("descriptor set"), "{error:#}");
    }

    #[test]
    fn mistakes_in_a_proto_are_told_with_their_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bad.proto");
        fs::write(&path, "syntax = \"proto3\";\nmessage {}\n").unwrap();
        let text = format!("{:#}", services_in_proto(&path, &[]).unwrap_err());
        assert!(text.starts_with("bad.proto:2:"), "{text}");
    }
}
