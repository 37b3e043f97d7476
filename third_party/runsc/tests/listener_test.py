#!/usr/bin/env python3
"""Starts services below a seccomp filter of the host that has a listener, as some container engines do.

systrap's stub wants a listener of its own, and Linux allows one for each thread. Ours uses futexes instead, which is
slower, so that `auto` chooses between systrap and ptrace by what it measures there. The arguments are roma, runsc,
run_workers and an echo UDF.
"""

import ctypes
import os
import struct
import subprocess
import sys
import tempfile

_PR_SET_NO_NEW_PRIVS = 38
_SET_MODE_FILTER = 1
_NEW_LISTENER = 8
_SYS_SECCOMP = {"x86_64": 317, "aarch64": 277}[os.uname().machine]
_RET_ALLOW = 0x7FFF0000


def listen() -> int:
    """Installs a filter that allows everything and has a listener. Returns the listener."""
    libc = ctypes.CDLL(None, use_errno=True)
    instruction = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, _RET_ALLOW))
    program = struct.pack("HxxxxxxP", 1, ctypes.addressof(instruction))
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    listener = libc.syscall(_SYS_SECCOMP, _SET_MODE_FILTER, _NEW_LISTENER, program)
    if listener < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    return listener


def doctor(programs: list) -> str:
    """Returns what `roma doctor` says of a service in gVisor. Nothing of earlier measurements is known to it."""
    roma, runsc, run_workers, echo = programs
    command = [roma, "doctor", f"--runsc={runsc}", f"--run-workers={run_workers}", f"--udf={echo}"]
    with tempfile.TemporaryDirectory() as cache:
        env = {**os.environ, "XDG_CACHE_HOME": cache}
        done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, timeout=120)
    print(done.stdout, flush=True)
    return done.stdout


def main() -> int:
    """Checks that both platforms and the automatic choice work."""
    programs = [os.path.realpath(word) for word in sys.argv[1:5]]
    listener = listen()
    said = doctor(programs)
    os.close(listener)
    failed = 0
    for what in ("platform systrap", "platform ptrace", "mode gvisor"):
        (row,) = (line for line in said.splitlines() if line.startswith(f"{what} "))
        if f"{what:18}ok " not in row or "answered in" not in row:
            print(f"FAILED: {row}")
            failed += 1
    print(f"{3 - failed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
