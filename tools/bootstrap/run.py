"""Running other programs."""

import pathlib
import subprocess

from report import Problem


def output(command, **options) -> str:
    """Returns the standard output of a command. Raises `Problem` if it fails."""
    done = subprocess.run(
        [str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, **options
    )
    if done.returncode != 0:
        raise Problem(f"`{command[0]}` failed ({done.returncode}):\n{tail(done.stderr or done.stdout)}")
    return done.stdout


def logged(command, log: pathlib.Path, **options) -> None:
    """Runs a command with its output in a file. Raises `Problem` if it fails."""
    with log.open("w") as out:
        done = subprocess.run(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, **options
        )
    if done.returncode != 0:
        raise Problem(f"`{command[0]}` failed ({done.returncode}); the end of {log}:\n{tail(log.read_text())}")


def tail(text: str, lines: int = 15) -> str:
    """Returns the last lines of a text, indented."""
    return "\n".join("    " + line for line in text.rstrip().splitlines()[-lines:])
