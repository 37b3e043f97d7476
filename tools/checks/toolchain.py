#!/usr/bin/env python3
"""Prints which Rust the checks use. If CI is set, fails unless it is the pinned one.

Lints and formatting differ between releases. There is no rust-toolchain.toml: with one, rustup
runs no cargo in this tree, and no tools/bazel, on a machine that has the release only under another
name, such as `stable`, and cannot download it. Instead, tools/check uses the pinned release if
rustup has it.
"""

import os
import re
import subprocess
import sys

# To bump: change it, run `tools/check`, and fix what the new lints find.
PINNED = "1.95.0"

TOOLS = {"rustc": ["rustc"], "cargo": ["cargo"], "clippy": ["cargo", "clippy"], "rustfmt": ["cargo", "fmt"]}


def main() -> int:
    versions = versions_in(dict(os.environ))
    problems = problems_of(versions)
    for problem in problems:
        print(problem)
    print(f"used: {', '.join(text or f'no {tool}' for tool, text in versions.items())}; pinned: {PINNED}")
    return 1 if problems and os.environ.get("CI") else 0


def versions_in(environment: dict) -> dict:
    """Returns the version that each tool prints, or nothing if it does not run."""
    return {tool: answer([*command, "--version"], environment) for tool, command in TOOLS.items()}


def answer(command: list, environment: dict) -> str:
    try:
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def problems_of(versions: dict) -> list:
    """Returns a problem for each tool that is not of the pinned release."""
    problems = []
    for tool, text in versions.items():
        found = re.search(r"\d+\.\d+\.\d+", text)
        if not found:
            problems.append(f"{tool} does not run: install it, for example with `rustup toolchain install {PINNED}`")
        elif is_of_another_commit(text, versions["rustc"]) if tool == "rustfmt" else found[0] != expected(tool):
            problems.append(
                f"`{text}` is not of Rust {PINNED}: install that one with "
                f"`rustup toolchain install {PINNED} --component clippy,rustfmt`, "
                "or change PINNED in tools/checks/toolchain.py"
            )
    return problems


def is_of_another_commit(rustfmt: str, rustc: str) -> bool:
    """Whether rustfmt, whose version is not that of its release, was built from another commit than rustc."""
    commits = [re.search(r"\((\w+) ", text) for text in (rustfmt, rustc)]
    if not all(commits):
        # A distribution may build both without the commit.
        return any(commits)
    return not commits[0][1].startswith(commits[1][1])


def expected(tool: str) -> str:
    major, minor, _ = PINNED.split(".")
    # Clippy 0.1.95 is that of Rust 1.95.
    return f"0.{major}.{minor}" if tool == "clippy" else PINNED


def environment() -> dict:
    """Returns an environment in which rustup uses the pinned release, if it has it and no other is requested."""
    given = dict(os.environ)
    if "RUSTUP_TOOLCHAIN" in given or not problems_of(versions_in(given)):
        return given
    return {**given, **chosen(answer(["rustup", "toolchain", "list"], given))}


def chosen(toolchains: str) -> dict:
    """Returns the variable that makes rustup use the pinned release, if that is among the listed toolchains."""
    names = [line.split()[0] for line in toolchains.splitlines() if line.strip()]
    pinned = [name for name in names if name == PINNED or name.startswith(f"{PINNED}-")]
    return {"RUSTUP_TOOLCHAIN": pinned[0]} if pinned else {}


if __name__ == "__main__":
    sys.exit(main())
