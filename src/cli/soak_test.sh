#!/bin/sh
# A soak of some seconds without gVisor: the arguments are run_workers, roma and the two UDFs.
set -eu
export ROMA_RUN_WORKERS="$1" ROMA_ECHO_UDF="$3" ROMA_MISBEHAVING_UDF="$4"
# How long requests take says nothing on a busy machine, so any growth of that is allowed.
"$2" soak --mode minimal --minutes 0.15 --every 0.25 --p99-growth 1e6 --json "$TEST_TMPDIR/soak.json"
grep -q '"complaints": \[\]' "$TEST_TMPDIR/soak.json"
