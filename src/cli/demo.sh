#!/bin/sh
# Runs `roma demo`: the arguments are runsc, run_workers, roma and the UDFs.
set -eu
export ROMA_RUNSC="$1" ROMA_RUN_WORKERS="$2"
roma=$3
shift 3
exec "$roma" demo "$@"
