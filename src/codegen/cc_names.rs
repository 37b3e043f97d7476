//! Names in protobuf's generated C++.

use crate::DescriptorSet;
use crate::type_names::declared_in;

/// Returns the type of a message. A nested message has the name of the outer one as a prefix.
pub(crate) fn cc_path(descriptors: &DescriptorSet, full_name: &str) -> String {
    let file = declaring_file(descriptors, full_name);
    let package = file.map_or("", |file| file.package());
    let name = full_name.trim_start_matches('.');
    let within = name.strip_prefix(package).unwrap_or(name);
    let within = within.trim_start_matches('.').replace('.', "_");
    let namespace = parts(package).map(|part| format!("::{part}"));
    namespace.collect::<String>() + "::" + &cc_identifier(&within)
}

/// Returns the header that declares this message, if a known file declares it.
pub(crate) fn cc_header(descriptors: &DescriptorSet, full_name: &str) -> Option<String> {
    let name = declaring_file(descriptors, full_name)?.name();
    Some(name.strip_suffix(".proto").unwrap_or(name).to_owned() + ".pb.h")
}

/// Returns the namespace of a package: `a::b`.
pub(crate) fn cc_namespace(package: &str) -> String {
    parts(package).collect::<Vec<_>>().join("::")
}

/// Returns a valid identifier: a keyword gets an underscore.
pub(crate) fn cc_identifier(name: &str) -> String {
    match KEYWORDS.contains(&name) {
        true => format!("{name}_"),
        false => name.to_owned(),
    }
}

/// Returns a comment. Backslashes at line ends are removed: they would continue the comment on the next line.
pub(crate) fn cc_comment(indent: &str, text: &str) -> String {
    let line = |line: &str| format!("{indent}// {}", line.trim_end_matches(['\\', ' ']));
    text.lines()
        .map(|it| line(it).trim_end().to_owned() + "\n")
        .collect()
}

fn parts(package: &str) -> impl Iterator<Item = String> {
    package
        .split('.')
        .filter(|part| !part.is_empty())
        .map(cc_identifier)
}

fn declaring_file<'a>(
    descriptors: &'a DescriptorSet,
    full_name: &str,
) -> Option<&'a prost_types::FileDescriptorProto> {
    descriptors
        .files()
        .find(|file| declared_in(file).iter().any(|name| name == full_name))
}

const KEYWORDS: &[&str] = &[
    "alignas",
    "alignof",
    "and",
    "and_eq",
    "asm",
    "auto",
    "bitand",
    "bitor",
    "bool",
    "break",
    "case",
    "catch",
    "char",
    "char16_t",
    "char32_t",
    "char8_t",
    "class",
    "co_await",
    "co_return",
    "co_yield",
    "compl",
    "concept",
    "const",
    "const_cast",
    "consteval",
    "constexpr",
    "constinit",
    "continue",
    "decltype",
    "default",
    "delete",
    "do",
    "double",
    "dynamic_cast",
    "else",
    "enum",
    "explicit",
    "export",
    "extern",
    "false",
    "float",
    "for",
    "friend",
    "goto",
    "if",
    "inline",
    "int",
    "long",
    "mutable",
    "namespace",
    "new",
    "noexcept",
    "not",
    "not_eq",
    "nullptr",
    "operator",
    "or",
    "or_eq",
    "private",
    "protected",
    "public",
    "register",
    "reinterpret_cast",
    "requires",
    "return",
    "short",
    "signed",
    "sizeof",
    "static",
    "static_assert",
    "static_cast",
    "struct",
    "switch",
    "template",
    "this",
    "thread_local",
    "throw",
    "true",
    "try",
    "typedef",
    "typeid",
    "typename",
    "union",
    "unsigned",
    "using",
    "virtual",
    "void",
    "volatile",
    "wchar_t",
    "while",
    "xor",
    "xor_eq",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::compile;

    #[test]
    fn types_and_headers_equal_those_of_protobuf() {
        let descriptors = compile(&[(
            "deep/a.proto",
            "package a.new.v1; message Outer { message Inner {} } message delete {}",
        )]);
        for (full_name, path) in [
            (".a.new.v1.Outer.Inner", "::a::new_::v1::Outer_Inner"),
            (".a.new.v1.delete", "::a::new_::v1::delete_"),
        ] {
            assert_eq!(cc_path(&descriptors, full_name), path);
            let header = cc_header(&descriptors, full_name);
            assert_eq!(header.as_deref(), Some("deep/a.pb.h"));
        }
        assert_eq!(cc_header(&descriptors, ".b.Unknown"), None);
        assert_eq!(cc_namespace("a.new.v1"), "a::new_::v1");
        assert_eq!(cc_namespace(""), "");
    }

    #[test]
    fn a_backslash_at_a_line_end_does_not_continue_a_comment() {
        assert_eq!(
            cc_comment("  ", "One \\\n\nTwo"),
            "  // One\n  //\n  // Two\n"
        );
    }
}
