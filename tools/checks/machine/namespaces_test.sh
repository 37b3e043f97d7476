#!/bin/sh
# Tests that a test can make namespaces and give them a root of their own.
set -eu

[ "$PWD" != "${PWD#*/sandbox/}" ] || { echo "this test does not run in Bazel's linux-sandbox: $PWD"; exit 1; }

unshare --user --map-root-user --mount --pid --net --ipc --uts --fork sh -eu -c '
    root=$TEST_TMPDIR/root
    mkdir "$root"
    mount -t tmpfs none "$root"
    mkdir "$root/usr" "$root/old"
    mount --rbind /usr "$root/usr"
    for name in bin lib lib64; do ln -s "usr/$name" "$root/$name"; done
    cd "$root"
    /usr/sbin/pivot_root . old
    cd /
    [ "$(echo /*)" = "/bin /lib /lib64 /old /usr" ] || { echo "unexpected root: $(echo /*)"; exit 1; }
    [ "$$" = 1 ] || { echo "not the first process of its namespace: $$"; exit 1; }
'
