#!/bin/sh
# Runs the unsafe code that follows pointers from the kernel under Miri. The rest of src/sandbox is
# system calls, which Miri does not support; src/protocol has no unsafe code.
#
# Miri needs a nightly Rust with its component.
set -eu

if ! cargo +nightly miri --version >/dev/null 2>&1; then
    echo "Miri is not installed: rustup toolchain install nightly --component miri,rust-src" >&2
    exit 1
fi
MIRIFLAGS=-Zmiri-disable-isolation exec cargo +nightly miri test --locked --package roma-sandbox --lib fdpass
