#!/bin/sh
# Compiles the example: `sh examples/rust/build.sh OUTPUT`. CARGO is heard, and what cargo itself hears.
set -eu
output=$(realpath "${1:-udf}")
cd "$(dirname "$0")"

# A sandbox has no libraries: everything is linked into the program, and nothing has to be relocated.
"${CARGO:-cargo}" rustc --release -- -Ctarget-feature=+crt-static -Crelocation-model=static
cp "${CARGO_TARGET_DIR:-target}/release/udf" "$output"
