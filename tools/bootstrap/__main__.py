"""Chooses or prepares the Bazel that tools/bazel starts. Run by tools/bazel, not by hand."""

import argparse
import contextlib
import fcntl
import pathlib
import subprocess
import sys
import time

import doctor
import host
import installed
import prepared
from report import Problem, say


def main() -> int:
    """Runs a task of tools/bazel. Problems of the machine print a message rather than a traceback."""
    parser = argparse.ArgumentParser(prog="tools/bootstrap", description=__doc__)
    parser.add_argument("--cache", type=lambda text: pathlib.Path(text).absolute(), required=True)
    parser.add_argument("--key", help="identifies the state of the workspace's files that the Bazel is for")
    parser.add_argument("task", choices=["prepare", "doctor"])
    args = parser.parse_args()
    try:
        if args.task == "doctor":
            doctor.report(args.cache)
        else:
            _prepare(args.cache, args.cache / f"bazel-{args.key}")
    except Problem as problem:
        print(f"\ntools/bazel: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ntools/bazel: interrupted; the next call continues from here", file=sys.stderr)
        return 130
    return 0


def _prepare(cache: pathlib.Path, target: pathlib.Path) -> None:
    began = time.monotonic()
    with _alone(cache):
        if _works(target / "start"):
            return
        program, reason = installed.find()
        if program:
            say(f"using {reason}")
            prepared.write_start(target / "start", [program], [program])
            return
        say(reason)
        host.need_tools()
        prepared.prepare(cache, target)
    say(f"ready after {time.monotonic() - began:.0f} s")


def _works(start: pathlib.Path) -> bool:
    """Returns whether a prepared Bazel exists, for example from another process, with all that it needs."""
    return start.exists() and subprocess.run([start, "--check"]).returncode == 0


@contextlib.contextmanager
def _alone(cache: pathlib.Path):
    """Lets one process at a time prepare. The others wait and then find the work done."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another tools/bazel is preparing Bazel; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main())
