#!/usr/bin/env python3
"""Checks that tracked files name no machine, no mirror and no registry.

A build fetches from where the machine's apt, Cargo and Bazel are configured to. The public
addresses that are part of the project are in ALLOWED_HOSTS.
"""

import pathlib
import re
import subprocess
import sys

WORKSPACE = pathlib.Path(__file__).resolve().parent.parent.parent

ALLOWED_HOSTS = {
    # The licence.
    "www.apache.org",
    # The source of crates in Cargo.lock, even with a mirror; projects.
    "github.com",
    # gVisor: its releases, pinned by checksum, and its documentation.
    "gvisor.dev",
    "storage.googleapis.com",
    # The namespace of SVG, which no program fetches.
    "www.w3.org",
    # Documentation.
    "www.cve.org",
    "bazel.build",
    "protobuf.dev",
}

MACHINE_PATHS = re.compile(r"(?<![\w.$}])/(?:root|home/(?!app/)\w+|work|Users)/[\w.]")


def main() -> int:
    problems = [problem for file in tracked_files() for problem in problems_in(file)]
    for problem in problems:
        print(problem)
    print(f"{len(problems)} names of machines, mirrors or registries" + (": remove them" if problems else ""))
    return 1 if problems else 0


def tracked_files() -> list:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=WORKSPACE, check=True, capture_output=True, text=True)
    return [WORKSPACE / name for name in listed.stdout.split("\0") if name]


def problems_in(file: pathlib.Path) -> list:
    try:
        lines = file.read_text().splitlines()
    except UnicodeDecodeError:
        return []
    place = file.relative_to(WORKSPACE)
    return [f"{place}:{number}: {text}" for number, line in enumerate(lines, 1) for text in problems_of(line)]


def problems_of(line: str) -> list:
    hosts = re.findall(r"https?://(?:[^\s/@]*@)?([\w.-]+\.[a-z]{2,})", line)
    found = [f"the host {host}" for host in hosts if host not in ALLOWED_HOSTS]
    return found + [f"a path of one machine: {path}" for path in MACHINE_PATHS.findall(line)]


if __name__ == "__main__":
    sys.exit(main())
