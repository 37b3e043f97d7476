"""UDFs: programs that answer one request inside the sandbox.

The sandbox's root holds only the program, so these macros link it statically. A static program also starts
several times faster there than one that loads libraries.
"""

load("@rules_cc//cc:defs.bzl", "cc_binary")
load("@rules_rust//rust:defs.bzl", "rust_binary")

visibility(["//bzl"])

# The program loads nothing at start and needs no relocation.
_STATIC_RUSTC_FLAGS = [
    "-Ctarget-feature=+crt-static",
    "-Crelocation-model=static",
]

# rustc names every library that a program needs. The C++ libraries that Bazel appends are not found, because
# rustc has switched the linker back to dynamic libraries by then.
_STATIC_RUST_FEATURES = ["-default_link_libs"]

_STATIC_LINKOPTS = ["-static"]
_STATIC_FEATURES = ["fully_static_link"]

def rust_udf(name, features = [], rustc_flags = [], **kwargs):
    """Makes a fully static program in Rust.

    Args:
        name: the program's name.
        features: additional toolchain features.
        rustc_flags: additional flags for rustc.
        **kwargs: passed to `rust_binary`: `srcs`, `deps`, and so on.
    """
    rust_binary(
        name = name,
        features = _STATIC_RUST_FEATURES + features,
        rustc_flags = _STATIC_RUSTC_FLAGS + rustc_flags,
        **kwargs
    )

def cc_udf(name, linkopts = [], features = [], **kwargs):
    """Makes a fully static program in C++.

    Args:
        name: the program's name.
        linkopts: additional flags for the linker.
        features: additional toolchain features.
        **kwargs: passed to `cc_binary`: `srcs`, `deps`, and so on.
    """
    cc_binary(
        name = name,
        features = _STATIC_FEATURES + features,
        linkopts = _STATIC_LINKOPTS + linkopts,
        linkstatic = True,
        **kwargs
    )
