#!/bin/sh
# Copies the tool images, or only the named ones (such as `demo_root`), into the folder dist of the workspace.
set -eu
to=${BUILD_WORKSPACE_DIRECTORY:?start this with bazel run}/dist
cd container/tools
[ $# -gt 0 ] || set -- ./*.tar
mkdir -p "$to"
for image in "$@"; do
    file=$(basename "$image" .tar).tar
    if [ ! -f "$file" ]; then
        echo "there is no image $image; there are:" ./*.tar >&2
        exit 1
    fi
    # The runfiles have a link to a read-only file. Copy the file, and make it writable.
    cp -fL "$file" "$to/$file"
    chmod u+w "$to/$file"
    echo "dist/$file: $(($(wc -c <"$file") / 1048576)) MiB"
done
