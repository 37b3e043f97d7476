//! Source locations and documentation of declarations.

use prost_types::FileDescriptorProto;
use prost_types::source_code_info::Location;

fn location<'a>(file: &'a FileDescriptorProto, path: &[i32]) -> Option<&'a Location> {
    let locations = &file.source_code_info.as_ref()?.location;
    locations.iter().find(|location| location.path == path)
}

/// Returns `file.proto:12`, or only the file if the descriptors have no line numbers.
pub(crate) fn place(file: &FileDescriptorProto, path: &[i32]) -> String {
    let line = location(file, path).and_then(|location| location.span.first());
    match line {
        Some(line) => format!("{}:{}", file.name(), line + 1),
        None => file.name().to_owned(),
    }
}

/// Returns the annotation's description, else the comment before the element, else the comment after it.
pub(crate) fn documentation(file: &FileDescriptorProto, path: &[i32], description: &str) -> String {
    if !description.trim().is_empty() {
        return description.trim().to_owned();
    }
    let comment = location(file, path).map(|location| match location.leading_comments() {
        "" => location.trailing_comments(),
        leading => leading,
    });
    let lines = comment.unwrap_or_default().lines();
    lines
        .map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end())
        .collect::<Vec<_>>()
        .join("\n")
        .trim()
        .to_owned()
}
