"""A former name of `//bzl:defs.bzl`. Load that file instead; this one is kept for existing workspaces."""

load(
    "//bzl/private:sdk.bzl",
    _declare_doc = "declare_doc",
    _roma_byob_sdk = "roma_byob_sdk",
    _roma_integrator_docs = "roma_integrator_docs",
    _sdk_guide_doc = "sdk_guide_doc",
    _sdk_runtime_doc = "sdk_runtime_doc",
)

visibility("public")

declare_doc = _declare_doc
roma_byob_sdk = _roma_byob_sdk
roma_integrator_docs = _roma_integrator_docs
sdk_guide_doc = _sdk_guide_doc
sdk_runtime_doc = _sdk_runtime_doc
