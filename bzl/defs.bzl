"""The public rules and macros of Roma, and the only file to load them from.

    load("@roma//bzl:defs.bzl", "cc_udf", "declare_roma_api", "roma_byob_sdk")

| for | load | documented in |
|---|---|---|
| programs for the sandbox | `rust_udf`, `cc_udf` | `private/udf.bzl` |
| messages in Rust | `rust_proto_library` | `private/proto.bzl` |
| clients and host functions of an API | `declare_roma_api`, `roma_byob_app_api_rust_library`, `roma_byob_app_api_cc_library`, `roma_host_api_rust_library` | `private/roma_api.bzl` |
| what UDF developers and integrators get | `roma_byob_sdk`, `roma_integrator_docs`, `declare_doc`, `sdk_guide_doc`, `sdk_runtime_doc` | `private/sdk.bzl` |
| container images | `roma_image`, `roma_byob_image`, `roma_byob_layers`, `roma_container_dir`, `roma_container_root_dir` | `private/container.bzl` |
| the users of images | `get_user` | `private/users.bzl` |
| tests of images | `container_structure_test` | `private/container_structure_test.bzl` |
"""

load(
    "//bzl/private:container.bzl",
    _roma_byob_image = "roma_byob_image",
    _roma_byob_layers = "roma_byob_layers",
    _roma_container_dir = "roma_container_dir",
    _roma_container_root_dir = "roma_container_root_dir",
    _roma_image = "roma_image",
)
load("//bzl/private:container_structure_test.bzl", _container_structure_test = "container_structure_test")
load("//bzl/private:proto.bzl", _rust_proto_library = "rust_proto_library")
load(
    "//bzl/private:roma_api.bzl",
    _declare_roma_api = "declare_roma_api",
    _roma_byob_app_api_cc_library = "roma_byob_app_api_cc_library",
    _roma_byob_app_api_rust_library = "roma_byob_app_api_rust_library",
    _roma_host_api_rust_library = "roma_host_api_rust_library",
)
load(
    "//bzl/private:sdk.bzl",
    _declare_doc = "declare_doc",
    _roma_byob_sdk = "roma_byob_sdk",
    _roma_integrator_docs = "roma_integrator_docs",
    _sdk_guide_doc = "sdk_guide_doc",
    _sdk_runtime_doc = "sdk_runtime_doc",
)
load("//bzl/private:udf.bzl", _cc_udf = "cc_udf", _rust_udf = "rust_udf")
load("//bzl/private:users.bzl", _get_user = "get_user")

visibility("public")

# Programs for the sandbox.
cc_udf = _cc_udf
rust_udf = _rust_udf

# Messages in Rust.
rust_proto_library = _rust_proto_library

# Clients and host functions of an API.
declare_roma_api = _declare_roma_api
roma_byob_app_api_cc_library = _roma_byob_app_api_cc_library
roma_byob_app_api_rust_library = _roma_byob_app_api_rust_library
roma_host_api_rust_library = _roma_host_api_rust_library

# What UDF developers and integrators get.
declare_doc = _declare_doc
roma_byob_sdk = _roma_byob_sdk
roma_integrator_docs = _roma_integrator_docs
sdk_guide_doc = _sdk_guide_doc
sdk_runtime_doc = _sdk_runtime_doc

# Container images.
get_user = _get_user
roma_byob_image = _roma_byob_image
roma_byob_layers = _roma_byob_layers
roma_container_dir = _roma_container_dir
roma_container_root_dir = _roma_container_root_dir
roma_image = _roma_image

# Tests of images.
container_structure_test = _container_structure_test
