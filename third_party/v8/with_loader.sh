#!/bin/sh
# with_loader.sh PROGRAM [ARGUMENT...]: runs a program with V8's libraries and their loader, in a test's run files.
set -eu
loader=$(find -L .. -path '*/lib/ld-linux*' -print -quit)
exec "$loader" --library-path "$(dirname "$loader")" "$@"
