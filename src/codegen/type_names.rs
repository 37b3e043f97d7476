//! Full names of messages and enums, in protobuf and in Rust.

use heck::ToUpperCamelCase;
use prost_build::Module;
use prost_types::{DescriptorProto, FileDescriptorProto};

/// Returns the full names, with a leading dot, of all messages and enums that `file` declares.
pub(crate) fn declared_in(file: &FileDescriptorProto) -> Vec<String> {
    let scope = scope_of_package(file);
    let mut names = Vec::new();
    names.extend(file.enum_type.iter().map(|it| nested(&scope, it.name())));
    for message in &file.message_type {
        collect(&scope, message, &mut names);
    }
    names
}

/// Returns the scope of the top-level names of `file`: its package, with a leading dot.
pub(crate) fn scope_of_package(file: &FileDescriptorProto) -> String {
    match file.package() {
        "" => String::new(),
        package => format!(".{package}"),
    }
}

/// Returns the full name of `name` in `scope`.
pub(crate) fn nested(scope: &str, name: &str) -> String {
    format!("{scope}.{name}")
}

/// Returns the path that prost gives the type within its crate: `.a.b.Outer.Inner` is `a::b::outer::Inner`.
pub(crate) fn rust_path(full_name: &str) -> String {
    let (scope, name) = full_name.rsplit_once('.').unwrap_or(("", full_name));
    let module = Module::from_protobuf_package_name(scope);
    let mut parts: Vec<&str> = module.parts().collect();
    let type_name = type_identifier(name);
    parts.push(&type_name);
    parts.join("::")
}

/// Converts to camel case as prost does. `Self` is the only keyword with a capital.
fn type_identifier(name: &str) -> String {
    match name.to_upper_camel_case() {
        keyword if keyword == "Self" => "Self_".into(),
        number if number.starts_with(|first: char| first.is_numeric()) => format!("_{number}"),
        identifier => identifier,
    }
}

fn collect(scope: &str, message: &DescriptorProto, names: &mut Vec<String>) {
    let full_name = nested(scope, message.name());
    let enums = message.enum_type.iter();
    names.extend(enums.map(|it| nested(&full_name, it.name())));
    for inner in &message.nested_type {
        collect(&full_name, inner, names);
    }
    names.push(full_name);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rust_paths_follow_prost() {
        for (full_name, path) in [
            (".a.b.Message", "a::b::Message"),
            (".a.OuterOne.inner_one", "a::outer_one::InnerOne"),
            (".Message", "Message"),
            (".a.type.v1.Self", "a::r#type::v1::Self_"),
            (".a._1st", "a::_1st"),
        ] {
            assert_eq!(rust_path(full_name), path);
        }
    }
}
