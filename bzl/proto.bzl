"""Protobuf messages in Rust.

`rust_proto_library` is to Rust what `cc_proto_library` of rules_cc is to C++: both turn a
`proto_library` into a library of the language.

    load("@roma//bzl:proto.bzl", "rust_proto_library")
    load("@rules_cc//cc:defs.bzl", "cc_proto_library")
    load("@rules_proto//proto:defs.bzl", "proto_library")

    proto_library(
        name = "greeting_proto",
        srcs = ["greeting.proto"],
        deps = ["@protobuf//:timestamp_proto"],
    )

    cc_proto_library(
        name = "greeting_cc_proto",
        deps = [":greeting_proto"],
    )

    rust_proto_library(
        name = "greeting_rust_proto",
        proto = ":greeting_proto",
    )
"""

load("@rules_proto//proto:defs.bzl", "ProtoInfo")
load("@rules_rust//rust:defs.bzl", "rust_library")
load("//bzl:codegen.bzl", "CODEGEN_ATTRS", "CODEGEN_TOOLCHAINS", "RustProtoSourceInfo", "generate", "proto_files")

_SOURCE_SUFFIX = "_source"

def _rust_proto_source_impl(ctx):
    files = proto_files(ctx.attr.proto[ProtoInfo])
    arguments = ctx.actions.args()
    arguments.add_all("--file", files)
    source = generate(ctx, "messages", arguments)
    return [
        DefaultInfo(files = depset([source])),
        RustProtoSourceInfo(crate_name = ctx.attr.crate_name, files = files),
    ]

_rust_proto_source = rule(
    implementation = _rust_proto_source_impl,
    doc = "Rust source for the files of one proto_library.",
    attrs = CODEGEN_ATTRS | {
        "crate_name": attr.string(mandatory = True, doc = "The crate that the source becomes."),
    },
    toolchains = CODEGEN_TOOLCHAINS,
)

def source_label(name):
    """The source target that `rust_proto_library` made beside a library of its own.

    Args:
        name: the library's label, as seen from the package that is being loaded.

    Returns:
        the target's label.
    """
    library = native.package_relative_label(name)
    return "@@%s//%s:%s%s" % (library.workspace_name, library.package, library.name, _SOURCE_SUFFIX)

def rust_proto_library(name, proto, deps = [], crate_name = None, **kwargs):
    """A Rust crate with the messages and enums of a `proto_library`, made with prost.

    A message `Bar` of package `foo.v1` is `crate_name::foo::v1::Bar`. Well-known types are those of
    prost-types.

    Args:
        name: the library's name.
        proto: the `proto_library`. Only its own files go into the crate, not those it imports.
        deps: the `rust_proto_library` of each `proto_library` that `proto` depends on, the
            well-known types aside.
        crate_name: the crate's name; the library's name by default.
        **kwargs: passed to `rust_library`, such as `visibility` and `tags`.
    """
    crate_name = crate_name or name
    common = {key: kwargs[key] for key in ("tags", "testonly", "visibility") if key in kwargs}
    _rust_proto_source(
        name = name + _SOURCE_SUFFIX,
        crate_name = crate_name,
        proto = proto,
        deps = [source_label(dep) for dep in deps],
        **common
    )
    rust_library(
        name = name,
        srcs = [name + _SOURCE_SUFFIX],
        crate_name = crate_name,
        deps = deps + [
            Label("//third_party/crates:prost"),
            Label("//third_party/crates:prost-types"),
        ],
        **kwargs
    )
