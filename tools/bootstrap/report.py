"""What the person at the terminal sees: steps with their times, and problems with their cure."""

import contextlib
import sys
import threading
import time


class Problem(Exception):
    """Something that the user has to know or do; printed without a traceback."""


_lock = threading.Lock()


def say(text: str) -> None:
    """Prints one line on standard error: standard output belongs to Bazel."""
    with _lock:
        print(f"tools/bazel: {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def step(text: str):
    """Says what is being done, and how long it took once it is done."""
    start = time.monotonic()
    say(f"{text} ...")
    yield
    say(f"{text}: {time.monotonic() - start:.1f} s")
