"""UDFs: programs that answer one request inside the sandbox.

The sandbox's root holds the program and nothing else, so these macros link everything into it. A
static program also starts several times faster there than one that has to load its libraries.
"""

load("@rules_cc//cc:defs.bzl", "cc_binary")
load("@rules_rust//rust:defs.bzl", "rust_binary")

# Nothing is loaded at start, and nothing has to be relocated.
STATIC_RUSTC_FLAGS = [
    "-Ctarget-feature=+crt-static",
    "-Crelocation-model=static",
]

# rustc names every library that a program needs; the C++ ones that Bazel adds cannot be had once
# rustc has told the linker to go back to dynamic libraries.
STATIC_RUST_FEATURES = ["-default_link_libs"]

STATIC_LINKOPTS = ["-static"]
STATIC_FEATURES = ["fully_static_link"]

def rust_udf(name, features = [], rustc_flags = [], **kwargs):
    """A fully static program in Rust.

    Args:
        name: the program's name.
        features: further toolchain features.
        rustc_flags: further flags for rustc.
        **kwargs: passed to `rust_binary`: `srcs`, `deps`, and so on.
    """
    rust_binary(
        name = name,
        features = STATIC_RUST_FEATURES + features,
        rustc_flags = STATIC_RUSTC_FLAGS + rustc_flags,
        **kwargs
    )

def cc_udf(name, linkopts = [], features = [], **kwargs):
    """A fully static program in C++.

    Args:
        name: the program's name.
        linkopts: further flags for the linker.
        features: further toolchain features.
        **kwargs: passed to `cc_binary`: `srcs`, `deps`, and so on.
    """
    cc_binary(
        name = name,
        features = STATIC_FEATURES + features,
        linkopts = STATIC_LINKOPTS + linkopts,
        linkstatic = True,
        **kwargs
    )
