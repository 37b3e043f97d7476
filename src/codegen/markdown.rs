//! The documentation of an API, in Markdown.

use std::collections::BTreeMap;
use std::fmt::Write;

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
};

use crate::annotations::{Annotations, join};
use crate::documentation::documentation;
use crate::service::{self, Service};
use crate::{DescriptorSet, Error};

// Field numbers in the messages of descriptors. Locations consist of them.
const MESSAGES: i32 = 4;
const ENUMS: i32 = 5;
const FIELDS: i32 = 2;
const NESTED_MESSAGES: i32 = 3;
const NESTED_ENUMS: i32 = 4;
const VALUES: i32 = 2;

/// Documents the service that `file` declares and the types of its calls.
///
/// `service` selects one if the file declares several.
pub fn markdown(
    descriptors: &DescriptorSet,
    file: &str,
    service: Option<&str>,
) -> Result<String, Error> {
    let service = service::read(descriptors, file, service, &[])?;
    let known = Known::all(descriptors);
    let mut text = format!("# `{}`\n\n", service.full_name);
    paragraph(&mut text, &service.documentation);
    let _ = writeln!(text, "Generated from `{file}`.\n\n## Calls\n");
    calls(&mut text, &service);
    let reached = known.reached(&service);
    let types = |is_message: bool| {
        let all = reached.iter().map(|name| (*name, &known.types[*name]));
        all.filter(move |(_, known)| matches!(known.kind, Kind::Message(_)) == is_message)
    };
    for (title, is_message) in [("Messages", true), ("Enums", false)] {
        if types(is_message).next().is_some() {
            let _ = writeln!(text, "## {title}\n");
        }
        for (name, known) in types(is_message) {
            known.write(&mut text, name, descriptors.annotations());
        }
    }
    Ok(text.trim_end().to_owned() + "\n")
}

fn calls(text: &mut String, service: &Service) {
    for call in &service.calls {
        let _ = writeln!(text, "### `{}`\n", call.name);
        paragraph(text, &call.documentation);
        let [request, response] = [&call.request, &call.response].map(|it| link(it));
        let _ = writeln!(
            text,
            "| request | response |\n|---|---|\n| {request} | {response} |\n"
        );
    }
}

/// A message or an enum and its location.
struct KnownType<'a> {
    file: &'a FileDescriptorProto,
    path: Vec<i32>,
    kind: Kind<'a>,
}

enum Kind<'a> {
    Message(&'a DescriptorProto),
    Enum(&'a EnumDescriptorProto),
}

/// All types, by full name without a leading dot.
struct Known<'a> {
    types: BTreeMap<String, KnownType<'a>>,
}

impl<'a> Known<'a> {
    fn all(descriptors: &'a DescriptorSet) -> Self {
        let mut known = Self {
            types: BTreeMap::new(),
        };
        for file in descriptors.files() {
            for (index, message) in (0..).zip(&file.message_type) {
                known.add_message(file, file.package(), vec![MESSAGES, index], message);
            }
            for (index, enumeration) in (0..).zip(&file.enum_type) {
                known.add_enum(file, file.package(), vec![ENUMS, index], enumeration);
            }
        }
        known
    }

    fn add_message(
        &mut self,
        file: &'a FileDescriptorProto,
        scope: &str,
        path: Vec<i32>,
        message: &'a DescriptorProto,
    ) {
        let name = join(scope, message.name());
        for (index, inner) in (0..).zip(&message.nested_type) {
            let path = [path.as_slice(), &[NESTED_MESSAGES, index]].concat();
            self.add_message(file, &name, path, inner);
        }
        for (index, inner) in (0..).zip(&message.enum_type) {
            let path = [path.as_slice(), &[NESTED_ENUMS, index]].concat();
            self.add_enum(file, &name, path, inner);
        }
        let kind = Kind::Message(message);
        self.types.insert(name, KnownType { file, path, kind });
    }

    fn add_enum(
        &mut self,
        file: &'a FileDescriptorProto,
        scope: &str,
        path: Vec<i32>,
        enumeration: &'a EnumDescriptorProto,
    ) {
        let name = join(scope, enumeration.name());
        let kind = Kind::Enum(enumeration);
        self.types.insert(name, KnownType { file, path, kind });
    }

    /// Returns the types that the calls need, in the order of their first use, without those of
    /// protobuf.
    fn reached(&self, service: &Service) -> Vec<&str> {
        let mut reached: Vec<&str> = Vec::new();
        let calls = service.calls.iter();
        let mut ahead: Vec<&str> = calls
            .flat_map(|call| [&*call.request, &*call.response])
            .collect();
        ahead.reverse();
        while let Some(name) = ahead.pop() {
            let Some((name, known)) = self.types.get_key_value(name.trim_start_matches('.')) else {
                continue;
            };
            if is_protobufs(name) || reached.contains(&name.as_str()) {
                continue;
            }
            if !known.is_map_entry() {
                reached.push(name);
            }
            ahead.extend(known.fields().iter().rev().map(|field| field.type_name()));
        }
        reached
    }
}

impl<'a> KnownType<'a> {
    fn fields(&self) -> &'a [FieldDescriptorProto] {
        match self.kind {
            Kind::Message(message) => &message.field,
            Kind::Enum(_) => &[],
        }
    }

    fn is_map_entry(&self) -> bool {
        matches!(self.kind, Kind::Message(message) if is_map_entry(message))
    }

    fn write(&self, text: &mut String, name: &str, annotations: &Annotations) {
        let _ = writeln!(text, "### `{name}`\n");
        let description = annotations.description(name);
        paragraph(text, &documentation(self.file, &self.path, description));
        match self.kind {
            Kind::Message(message) => self.write_fields(text, name, message, annotations),
            Kind::Enum(enumeration) => self.write_values(text, name, enumeration, annotations),
        }
    }

    fn write_fields(
        &self,
        text: &mut String,
        name: &str,
        message: &DescriptorProto,
        annotations: &Annotations,
    ) {
        if message.field.is_empty() {
            text.push_str("No fields.\n\n");
            return;
        }
        text.push_str("| field | number | type | |\n|---|---|---|---|\n");
        for (index, field) in (0..).zip(&message.field) {
            let path = [self.path.as_slice(), &[FIELDS, index]].concat();
            let description = annotations.description(&join(name, field.name()));
            let described = cell(&documentation(self.file, &path, description));
            let kind = type_of(message, field);
            let choice = choice_of(message, field);
            let about = [choice, described].join(" ");
            let (field, number) = (field.name(), field.number());
            let _ = writeln!(text, "| `{field}` | {number} | {kind} | {} |", about.trim());
        }
        text.push('\n');
    }

    fn write_values(
        &self,
        text: &mut String,
        name: &str,
        enumeration: &EnumDescriptorProto,
        annotations: &Annotations,
    ) {
        text.push_str("| value | number | |\n|---|---|---|\n");
        for (index, value) in (0..).zip(&enumeration.value) {
            let path = [self.path.as_slice(), &[VALUES, index]].concat();
            let description = annotations.description(&join(name, value.name()));
            let about = cell(&documentation(self.file, &path, description));
            let (value, number) = (value.name(), value.number());
            let _ = writeln!(text, "| `{value}` | {number} | {about} |");
        }
        text.push('\n');
    }
}

fn paragraph(text: &mut String, documentation: &str) {
    if !documentation.is_empty() {
        let _ = writeln!(text, "{documentation}\n");
    }
}

/// Returns text in a form that is valid in a table.
fn cell(documentation: &str) -> String {
    let line = documentation.split_whitespace().collect::<Vec<_>>();
    line.join(" ").replace('|', "\\|")
}

fn is_map_entry(message: &DescriptorProto) -> bool {
    message.options.as_ref().is_some_and(|it| it.map_entry())
}

fn is_protobufs(name: &str) -> bool {
    name.starts_with("google.protobuf.")
}

/// Returns a type's name with a link to its description on this page.
fn link(full_name: &str) -> String {
    let name = full_name.trim_start_matches('.');
    if is_protobufs(name) {
        return format!("`{name}`");
    }
    // The anchors that renderers of Markdown give to headings.
    let anchor: String = name
        .chars()
        .filter(|it| it.is_alphanumeric() || *it == '_')
        .collect();
    format!("[`{name}`](#{})", anchor.to_lowercase())
}

fn type_of(message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    if let Some(entry) = map_entry(message, field) {
        let [key, value] = [0, 1].map(|it| entry.field.get(it).map_or(String::new(), type_name));
        return format!("map of {key} to {value}");
    }
    let name = type_name(field);
    match (field.label(), field.proto3_optional()) {
        (Label::Repeated, _) => format!("repeated {name}"),
        (Label::Required, _) => format!("required {name}"),
        (_, true) => format!("optional {name}"),
        _ => name,
    }
}

fn map_entry<'a>(
    message: &'a DescriptorProto,
    field: &FieldDescriptorProto,
) -> Option<&'a DescriptorProto> {
    let (_, name) = field.type_name().rsplit_once('.')?;
    let mut nested = message.nested_type.iter();
    nested.find(|it| is_map_entry(it) && it.name() == name && field.label() == Label::Repeated)
}

fn type_name(field: &FieldDescriptorProto) -> String {
    let name = match field.r#type() {
        Type::Message | Type::Enum | Type::Group => return link(field.type_name()),
        other => other
            .as_str_name()
            .trim_start_matches("TYPE_")
            .to_lowercase(),
    };
    format!("`{name}`")
}

/// Returns the remark that a field belongs to a oneof.
fn choice_of(message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    let index = field.oneof_index.filter(|_| !field.proto3_optional());
    let choice = index.and_then(|index| message.oneof_decl.get(index as usize));
    choice.map_or(String::new(), |choice| {
        format!("One of `{}`.", choice.name())
    })
}

#[cfg(test)]
#[path = "markdown_test.rs"]
mod tests;
