#!/bin/sh
# Compiles the example: `sh examples/rust/build.sh OUTPUT`. Uses the variable CARGO and those of cargo.
set -eu
output=$(realpath "${1:-udf}")
cd "$(dirname "$0")"

# A sandbox has no shared libraries: the program is static and needs no relocation.
"${CARGO:-cargo}" rustc --release -- -Ctarget-feature=+crt-static -Crelocation-model=static
cp "${CARGO_TARGET_DIR:-target}/release/udf" "$output"
