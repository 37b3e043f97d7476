"""A former name of `//bzl:defs.bzl`. Load that file instead; this one is kept for existing workspaces."""

load("//bzl/private:proto.bzl", _rust_proto_library = "rust_proto_library")

visibility("public")

rust_proto_library = _rust_proto_library
