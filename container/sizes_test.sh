#!/bin/sh
# Prints how large the given layers are, compressed, and holds their sum below a limit in MiB, which comes first.
set -eu
limit=$1
shift
sum=0
for layer in "$@"; do
    bytes=$(gzip -9 -c "$layer" | wc -c)
    sum=$((sum + bytes))
    printf '%8d KiB  %s\n' "$((bytes / 1024))" "$(basename "$layer")"
done
printf '%8d KiB  together, of at most %d\n' "$((sum / 1024))" "$((limit * 1024))"
[ "$sum" -gt 0 ] && [ "$sum" -le "$((limit * 1048576))" ]
