//! Roma's options on services, calls, messages and enums.
//!
//! The options are extensions, which the ordinary descriptor types drop when they decode: the same bytes
//! are read a second time by types that know nothing else.

use std::collections::BTreeMap;

use prost::Message;

/// The annotation of a service.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ServiceAnnotation {
    #[prost(string, tag = "3")]
    pub(crate) description: String,
    #[prost(string, tag = "4")]
    pub(crate) cpp_namespace: String,
    #[prost(string, tag = "100")]
    pub(crate) rust_client: String,
}

/// The annotation of a call.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct CallAnnotation {
    #[prost(string, tag = "1")]
    pub(crate) description: String,
    #[prost(string, tag = "100")]
    pub(crate) rust_method: String,
}

/// The annotation of a message, a field, an enum or a value.
#[derive(Clone, PartialEq, Message)]
struct Description {
    #[prost(string, tag = "1")]
    description: String,
}

/// All annotations, by full name without a leading dot.
#[derive(Clone, Debug, Default)]
pub(crate) struct Annotations {
    services: BTreeMap<String, ServiceAnnotation>,
    calls: BTreeMap<String, CallAnnotation>,
    /// The descriptions of messages, fields, enums and values. The name of a value is `Enum.VALUE`.
    descriptions: BTreeMap<String, String>,
}

impl Annotations {
    /// Adds the annotations in an encoded `FileDescriptorSet`.
    pub(crate) fn read(&mut self, encoded: &[u8]) -> Result<(), prost::DecodeError> {
        for file in Set::decode(encoded)?.files {
            for service in file.services {
                self.add_service(&file.package, service);
            }
            for message in file.messages {
                self.add_message(&file.package, message);
            }
            for enumeration in file.enums {
                self.add_enum(&file.package, enumeration);
            }
        }
        Ok(())
    }

    fn add_service(&mut self, scope: &str, service: Service) {
        let name = join(scope, &service.name);
        for call in service.calls {
            let annotation = call.options.and_then(|options| options.annotation);
            let annotation = annotation.unwrap_or_default();
            self.calls.insert(join(&name, &call.name), annotation);
        }
        let annotation = service.options.and_then(|options| options.annotation);
        self.services.insert(name, annotation.unwrap_or_default());
    }

    fn add_message(&mut self, scope: &str, message: MessageType) {
        let name = join(scope, &message.name);
        for field in message.fields {
            self.describe(join(&name, &field.name), field.options);
        }
        for inner in message.messages {
            self.add_message(&name, inner);
        }
        for enumeration in message.enums {
            self.add_enum(&name, enumeration);
        }
        self.describe(name, message.options);
    }

    fn add_enum(&mut self, scope: &str, enumeration: EnumType) {
        let name = join(scope, &enumeration.name);
        for value in enumeration.values {
            self.describe(join(&name, &value.name), value.options);
        }
        self.describe(name, enumeration.options);
    }

    fn describe(&mut self, name: String, options: Option<Options>) {
        let described = options.and_then(Options::description);
        self.descriptions.extend(described.map(|text| (name, text)));
    }

    /// Returns the description of a message, a field, an enum or a value, or an empty text.
    pub(crate) fn description(&self, full_name: &str) -> &str {
        self.descriptions.get(full_name).map_or("", String::as_str)
    }

    pub(crate) fn of_service(&self, full_name: &str) -> ServiceAnnotation {
        self.services.get(full_name).cloned().unwrap_or_default()
    }

    pub(crate) fn of_call(&self, full_name: &str) -> CallAnnotation {
        self.calls.get(full_name).cloned().unwrap_or_default()
    }
}

/// Returns a full name without a leading dot.
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
    #[prost(message, repeated, tag = "4")]
    messages: Vec<MessageType>,
    #[prost(message, repeated, tag = "5")]
    enums: Vec<EnumType>,
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

#[derive(Message)]
struct MessageType {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    fields: Vec<Field>,
    #[prost(message, repeated, tag = "3")]
    messages: Vec<MessageType>,
    #[prost(message, repeated, tag = "4")]
    enums: Vec<EnumType>,
    #[prost(message, optional, tag = "7")]
    options: Option<Options>,
}

#[derive(Message)]
struct Field {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "8")]
    options: Option<Options>,
}

#[derive(Message)]
struct EnumType {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    values: Vec<EnumValue>,
    #[prost(message, optional, tag = "3")]
    options: Option<Options>,
}

#[derive(Message)]
struct EnumValue {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "3")]
    options: Option<Options>,
}

/// The options of any of these. Each kind has its own extension number.
#[derive(Message)]
struct Options {
    #[prost(message, optional, tag = "50002")]
    field: Option<Description>,
    #[prost(message, optional, tag = "50003")]
    message: Option<Description>,
    #[prost(message, optional, tag = "50004")]
    enumeration: Option<Description>,
    #[prost(message, optional, tag = "50005")]
    value: Option<Description>,
}

impl Options {
    fn description(self) -> Option<String> {
        let of = [self.field, self.message, self.enumeration, self.value];
        of.into_iter().flatten().map(|it| it.description).next()
    }
}
