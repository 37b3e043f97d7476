"""A former name of `//bzl:defs.bzl`. Load that file instead; this one is kept for existing workspaces."""

load(
    "//bzl/private:roma_api.bzl",
    _declare_roma_api = "declare_roma_api",
    _roma_byob_app_api_cc_library = "roma_byob_app_api_cc_library",
    _roma_byob_app_api_rust_library = "roma_byob_app_api_rust_library",
    _roma_host_api_rust_library = "roma_host_api_rust_library",
)

visibility("public")

declare_roma_api = _declare_roma_api
roma_byob_app_api_cc_library = _roma_byob_app_api_cc_library
roma_byob_app_api_rust_library = _roma_byob_app_api_rust_library
roma_host_api_rust_library = _roma_host_api_rust_library
