use super::*;
use crate::testing::compile;

fn try_source(sources: &[(&str, &str)], files: &[&str], externs: &[&str]) -> Result<String, Error> {
    let files: Vec<_> = files.iter().map(ToString::to_string).collect();
    let externs: Vec<_> = externs.iter().map(|it| it.parse().unwrap()).collect();
    prost_source(&compile(sources), &files, &externs)
}

fn source(sources: &[(&str, &str)], files: &[&str], externs: &[&str]) -> String {
    try_source(sources, files, externs).unwrap()
}

/// The source of one file, in the package `p` and with this content.
fn source_of(content: &str) -> String {
    source(
        &[("p.proto", &format!("package p;\n{content}"))],
        &["p.proto"],
        &[],
    )
}

/// Asserts that `source` contains `parts` in this order, ignoring whitespace and text between them.
#[track_caller]
fn assert_has(source: &str, parts: &[&str]) {
    let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let squeezed = squeeze(source);
    let mut rest = squeezed.as_str();
    for part in parts {
        match rest.split_once(&squeeze(part)) {
            Some((_, after)) => rest = after,
            None => panic!("no {part:?} after what comes before it in\n{source}"),
        }
    }
}

#[test]
fn packages_become_nested_modules() {
    let source = source(
        &[
            (
                "a.proto",
                "package outer.a; message A { outer.b.v1.B b = 1; }\nimport \"b.proto\";",
            ),
            (
                "b.proto",
                "package outer.b.v1; message B { Inner inner = 1; message Inner {} }",
            ),
        ],
        &["b.proto", "a.proto"],
        &[],
    );
    assert_has(
        &source,
        &[
            "// Generated from a.proto, b.proto: do not edit.",
            "pub mod outer {",
            "pub mod a {",
            "pub b: ::core::option::Option<super::b::v1::B>",
            "pub mod b { pub mod v1 {",
            "pub inner: ::core::option::Option<b::Inner>",
            "pub mod b {",
            "pub struct Inner {}",
        ],
    );
    assert_eq!(source.matches("pub mod outer").count(), 1);
}

#[test]
fn files_of_one_package_share_a_module() {
    let source = source(
        &[
            ("a.proto", "package p; message A {}"),
            (
                "b.proto",
                "import \"a.proto\"; package p; message B { A a = 1; }",
            ),
        ],
        &["a.proto", "b.proto"],
        &[],
    );
    assert_has(
        &source,
        &["pub mod p {", "struct A {}", "struct B {", "Option<A>"],
    );
    assert_eq!(source.matches("pub mod p ").count(), 1);
}

#[test]
fn a_file_without_a_package_is_at_the_root() {
    let source = source(&[("a.proto", "message A {}")], &["a.proto"], &[]);
    assert_has(&source, &["pub struct A {}"]);
    assert!(!source.contains("pub mod"));
}

#[test]
fn types_of_another_crate_are_referred_to_there() {
    let source = source(
        &[
            (
                "own.proto",
                "import \"dir/other.proto\"; package shared;
                 message Own { Outer a = 1; Outer.Inner b = 2; Outer.Kind c = 3; Level d = 4; }",
            ),
            (
                "dir/other.proto",
                "import \"third.proto\"; package shared; enum Level { LOW = 0; }
                 message Outer { third.Third x = 1; message Inner {} enum Kind { ANY = 0; } }",
            ),
            (
                "third.proto",
                "package third; message Third { bool y = 1; }",
            ),
        ],
        &["own.proto"],
        &["other_crate=dir/other.proto"],
    );
    assert_has(
        &source,
        &[
            "pub mod shared {",
            "pub struct Own {",
            "Option<::other_crate::shared::Outer>",
            "Option<::other_crate::shared::outer::Inner>",
            "enumeration = \"::other_crate::shared::outer::Kind\"",
            "enumeration = \"::other_crate::shared::Level\"",
        ],
    );
    for absent in ["struct Outer", "enum Level", "struct Third", "mod third"] {
        assert!(!source.contains(absent), "{absent} in\n{source}");
    }
}

#[test]
fn well_known_types_come_from_prost_types() {
    let source = source_of(
        "import \"google/protobuf/duration.proto\";
         import \"google/protobuf/any.proto\";
         import \"google/protobuf/wrappers.proto\";
         message M {
           google.protobuf.Duration duration = 1;
           repeated google.protobuf.Any any = 2;
           google.protobuf.StringValue text = 3;
         }",
    );
    assert_has(
        &source,
        &[
            "pub duration: ::core::option::Option<::prost_types::Duration>",
            "pub any: ::prost::alloc::vec::Vec<::prost_types::Any>",
            "pub text: ::core::option::Option<::prost::alloc::string::String>",
        ],
    );
    assert!(!source.contains("mod google"));
}

#[test]
fn fields_of_all_kinds_are_kept() {
    let source = source_of(
        "message M {
           optional uint32 maybe = 1;
           uint32 plain = 2;
           map<string, Kind> by_name = 3;
           oneof choice { string text = 4; M nested = 5; }
           repeated sint64 numbers = 6;
           bytes raw = 7;
         }
         enum Kind { KIND_UNSPECIFIED = 0; KIND_OTHER = 3; }",
    );
    assert_has(
        &source,
        &[
            "pub maybe: ::core::option::Option<u32>",
            "pub plain: u32",
            "pub by_name: ::prost::alloc::collections::BTreeMap<",
            "::prost::alloc::string::String",
            "i32",
            "pub numbers: ::prost::alloc::vec::Vec<i64>",
            "pub raw: ::prost::alloc::vec::Vec<u8>",
            "#[prost(oneof = \"m::Choice\", tags = \"4, 5\")]",
            "pub choice: ::core::option::Option<m::Choice>",
            "pub enum Choice {",
            "Text(::prost::alloc::string::String)",
            "Nested(::prost::alloc::boxed::Box<super::M>)",
            "pub enum Kind { Unspecified = 0, Other = 3, }",
        ],
    );
}

#[test]
fn keywords_are_escaped() {
    let source = source(
        &[(
            "a.proto",
            "package a.type; message Self { bool match = 1; bool self = 2; }",
        )],
        &["a.proto"],
        &[],
    );
    assert_has(
        &source,
        &[
            "pub mod r#type {",
            "pub struct Self_ {",
            "pub r#match: bool",
            "pub self_: bool",
        ],
    );
}

#[test]
fn comments_become_documentation() {
    let source = source_of(
        "// What it is.
         message M {
           // What it holds.
           bool field = 1;
         }",
    );
    assert_has(
        &source,
        &["/// What it is.", "pub struct M", "/// What it holds."],
    );
}

#[test]
fn the_order_of_the_input_does_not_matter() {
    let sources = [
        ("a.proto", "package p.a; message A {}"),
        ("b.proto", "package p.b; message B {}"),
        ("c.proto", "package p.c; message C {}"),
    ];
    let expected = source(&sources, &["a.proto", "b.proto", "c.proto"], &[]);
    for _ in 0..8 {
        let again = source(&sources, &["c.proto", "a.proto", "b.proto", "a.proto"], &[]);
        assert_eq!(again, expected);
    }
}

#[test]
fn a_file_that_no_set_holds_is_an_error() {
    let error = try_source(&[("a.proto", "")], &["b.proto"], &[]).unwrap_err();
    assert!(matches!(error, Error::MissingFile { name, .. } if name == "b.proto"));
    let error = try_source(&[("a.proto", "")], &["a.proto"], &["c=b.proto"]).unwrap_err();
    assert!(matches!(error, Error::MissingFile { name, .. } if name == "b.proto"));
}

#[test]
fn nothing_to_generate_is_an_error() {
    let error = try_source(&[("a.proto", "")], &[], &["c=a.proto"]).unwrap_err();
    assert!(matches!(error, Error::NothingToGenerate));
}

#[test]
fn a_type_of_an_unlisted_file_is_an_error() {
    let sources = [
        (
            "a.proto",
            "import \"b.proto\"; package p; message A { message I { B b = 1; } }",
        ),
        ("b.proto", "package p; message B {}"),
    ];
    let error = try_source(&sources, &["a.proto"], &[]).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("field p.A.I.b"), "{message}");
    assert!(message.contains("type p.B of b.proto"), "{message}");
}

#[test]
fn an_import_that_is_not_used_needs_no_owner() {
    let sources = [
        ("a.proto", "import \"b.proto\"; package p; message A {}"),
        ("b.proto", "package p; message B {}"),
    ];
    let source = source(&sources, &["a.proto"], &[]);
    assert!(!source.contains("struct B"));
}

#[test]
fn a_file_has_one_owner() {
    let sources = [("a.proto", ""), ("b.proto", "")];
    for externs in [&["x=a.proto"][..], &["x=b.proto", "y=b.proto"]] {
        let error = try_source(&sources, &["a.proto"], externs).unwrap_err();
        assert!(matches!(error, Error::TwoOwners { .. }), "{error}");
    }
    try_source(&sources, &["a.proto"], &["x=b.proto", "x=b.proto"]).unwrap();
}

#[test]
fn well_known_files_are_not_generated() {
    let error = try_source(
        &[("a.proto", "import \"google/protobuf/any.proto\";")],
        &["a.proto", "google/protobuf/any.proto"],
        &[],
    )
    .unwrap_err();
    assert!(matches!(error, Error::WellKnown { .. }), "{error}");
}
