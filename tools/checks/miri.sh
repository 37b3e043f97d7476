#!/bin/sh
# Runs under Miri the unsafe code that follows pointers the kernel wrote. The rest of src/sandbox is
# system calls, which Miri does not know; src/protocol has no unsafe code.
#
# Miri takes a nightly Rust with its component. A machine without it cannot run this, and is told so.
set -eu

if ! cargo +nightly miri --version >/dev/null 2>&1; then
    echo "no Miri: rustup toolchain install nightly --component miri,rust-src" >&2
    exit 1
fi
MIRIFLAGS=-Zmiri-disable-isolation exec cargo +nightly miri test --locked --package roma-sandbox --lib fdpass
