"""Messages for the user: steps with their times, and problems with their solutions."""

import contextlib
import sys
import threading
import time


class Problem(Exception):
    """A problem that the user has to solve. Printed without a traceback."""


_lock = threading.Lock()


def say(text: str) -> None:
    """Prints one line on standard error: standard output belongs to Bazel."""
    with _lock:
        print(f"tools/bazel: {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def step(text: str):
    """Prints the name of a step when it begins, and its time when it ends."""
    start = time.monotonic()
    say(f"{text} ...")
    yield
    say(f"{text}: {time.monotonic() - start:.1f} s")
