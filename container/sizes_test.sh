#!/bin/sh
# Prints the compressed sizes of layers. Fails if their sum exceeds a limit.
# Arguments: the limit in MiB, then the layers.
set -eu
limit=$1
shift
sum=0
for layer in "$@"; do
    bytes=$(gzip -9 -c "$layer" | wc -c)
    sum=$((sum + bytes))
    printf '%8d KiB  %s\n' "$((bytes / 1024))" "$(basename "$layer")"
done
printf '%8d KiB  in total, at most %d\n' "$((sum / 1024))" "$((limit * 1024))"
[ "$sum" -gt 0 ] && [ "$sum" -le "$((limit * 1048576))" ]
