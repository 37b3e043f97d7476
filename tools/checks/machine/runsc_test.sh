#!/bin/sh
# Tests that the runsc of the build runs programs in gVisor.
set -eu

runsc=$(readlink -f "$1")
rootless=$([ "$(id -u)" = 0 ] || echo --rootless)
said=$("$runsc" --root "$TEST_TMPDIR/state" --network=none --ignore-cgroups $rootless \
    do /bin/sh -c 'dmesg | head -1; echo "exit of a child: $(sh -c "exit 7"; echo $?)"')
echo "$said"
case $said in
    *gVisor*"exit of a child: 7"*) ;;
    *) echo "the output above is not that of gVisor, or the exit code of the child is wrong"; exit 1 ;;
esac
