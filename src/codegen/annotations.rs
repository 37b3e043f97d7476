//! What services and calls say of themselves in Roma's options.
//!
//! The options are extensions, which the ordinary descriptor types drop when they decode: the same bytes
//! are read a second time by types that know nothing else.

use std::collections::BTreeMap;

use prost::Message;

/// Of a service.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ServiceAnnotation {
    #[prost(string, tag = "3")]
    pub(crate) description: String,
    #[prost(string, tag = "100")]
    pub(crate) rust_client: String,
}

/// Of a call.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct CallAnnotation {
    #[prost(string, tag = "1")]
    pub(crate) description: String,
    #[prost(string, tag = "100")]
    pub(crate) rust_method: String,
}

/// The annotations of all services and calls, by full name without a leading dot.
#[derive(Clone, Debug, Default)]
pub(crate) struct Annotations {
    services: BTreeMap<String, ServiceAnnotation>,
    calls: BTreeMap<String, CallAnnotation>,
}

impl Annotations {
    /// Adds those in an encoded `FileDescriptorSet`.
    pub(crate) fn read(&mut self, encoded: &[u8]) -> Result<(), prost::DecodeError> {
        for file in Set::decode(encoded)?.files {
            for service in file.services {
                let name = join(&file.package, &service.name);
                for call in service.calls {
                    let annotation = call.options.and_then(|options| options.annotation);
                    let annotation = annotation.unwrap_or_default();
                    self.calls.insert(join(&name, &call.name), annotation);
                }
                let annotation = service.options.and_then(|options| options.annotation);
                self.services.insert(name, annotation.unwrap_or_default());
            }
        }
        Ok(())
    }

    pub(crate) fn of_service(&self, full_name: &str) -> ServiceAnnotation {
        self.services.get(full_name).cloned().unwrap_or_default()
    }

    pub(crate) fn of_call(&self, full_name: &str) -> CallAnnotation {
        self.calls.get(full_name).cloned().unwrap_or_default()
    }
}

/// A full name without a leading dot.
pub(crate) fn join(scope: &str, name: &str) -> String {
    match scope {
        "" => name.to_owned(),
        scope => format!("{scope}.{name}"),
    }
}

#[derive(Message)]
struct Set {
    #[prost(message, repeated, tag = "1")]
    files: Vec<File>,
}

#[derive(Message)]
struct File {
    #[prost(string, tag = "2")]
    package: String,
    #[prost(message, repeated, tag = "6")]
    services: Vec<Service>,
}

#[derive(Message)]
struct Service {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    calls: Vec<Call>,
    #[prost(message, optional, tag = "3")]
    options: Option<ServiceOptions>,
}

#[derive(Message)]
struct ServiceOptions {
    #[prost(message, optional, tag = "50000")]
    annotation: Option<ServiceAnnotation>,
}

#[derive(Message)]
struct Call {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "4")]
    options: Option<CallOptions>,
}

#[derive(Message)]
struct CallOptions {
    #[prost(message, optional, tag = "50001")]
    annotation: Option<CallAnnotation>,
}
