"""A former name of `//bzl:defs.bzl`. Load that file instead; this one is kept for existing workspaces."""

load("//bzl/private:udf.bzl", _cc_udf = "cc_udf", _rust_udf = "rust_udf")

visibility("public")

cc_udf = _cc_udf
rust_udf = _rust_udf
