#!/usr/bin/env python3
"""Checks that rustc, cargo and clippy are the pinned ones: others format and lint differently.

A pin in rust-toolchain.toml would make every call of cargo fail where that toolchain can neither be
found nor be downloaded. So the version is pinned here: with CI set, another one is a failure, and
elsewhere a remark.
"""

import os
import subprocess
import sys

# To move to another version: change it here, run `tools/check rustfmt clippy`, and mend what they find.
PINNED = "1.95.0"


def main() -> int:
    found = [(tool, version_of(tool)) for tool in ("rustc", "cargo", "clippy")]
    problems = problems_of(found)
    for problem in problems:
        print(problem)
    return 1 if problems and os.environ.get("CI") else 0


def version_of(tool: str) -> str:
    command = ["cargo", "clippy", "--version"] if tool == "clippy" else [tool, "--version"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[1]


def problems_of(found: list) -> list:
    minor = PINNED.split(".")[1]
    # Clippy counts the minor version of Rust as its patch level.
    expected = {"rustc": PINNED, "cargo": PINNED, "clippy": f"0.1.{minor}"}
    return [
        f"{tool} is {version}, and the pinned one is {expected[tool]}: rustup toolchain install {PINNED}"
        for tool, version in found
        if version != expected[tool]
    ]


if __name__ == "__main__":
    sys.exit(main())
