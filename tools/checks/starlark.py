#!/usr/bin/env python3
"""Checks the format and style of Starlark files with buildifier, and that private ones are private.

buildifier comes from PATH or else, if npm is available, from its npm package, which is checked against
the digest below and kept in the cache. On a machine with neither, the format is not checked, and the
output says so.
"""

import base64
import hashlib
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

WORKSPACE = pathlib.Path(__file__).resolve().parent.parent.parent

# To bump: `npm view @bazel/buildifier dist.integrity`.
VERSION = "8.2.1"
SHA512 = "eZ/Aq+2r4PcJa6LbPCT6ffgIJfTU/gYilqIzoX2OLM4nNkbQC6tTMPZNn7aHHjhGPxbNLv41zm4Xqt1olCLgXw=="

# Warnings about things that this version of Bazel requires.
WARNINGS = "-module-docstring,-native-cc-library,-native-cc-proto,-native-proto,-native-proto-lang-toolchain,-native-sh-test"


def main() -> int:
    problems = [problem for file in private_files() for problem in problems_in(file)]
    for problem in problems:
        print(problem)
    return 1 if problems else check_format()


def private_files() -> list:
    """The files that make up `bzl/defs.bzl`, which is what other workspaces load."""
    return sorted((WORKSPACE / "bzl/private").glob("*.bzl"))


def problems_in(file: pathlib.Path) -> list:
    declared = re.search(r"^visibility\((.+)\)$", file.read_text(), re.M)
    if not declared:
        return [f"{file.relative_to(WORKSPACE)} lacks a visibility() declaration"]
    return [f"{file.relative_to(WORKSPACE)} is public"] if "public" in declared.group(1) else []


def check_format() -> int:
    buildifier = shutil.which("buildifier") or from_npm()
    if not buildifier:
        print("neither buildifier nor npm is on PATH: the format of Starlark files was not checked")
        return 0
    return subprocess.run([buildifier, "-mode=check", "-lint=warn", f"-warnings={WARNINGS}", *starlark_files()]).returncode


def starlark_files() -> list:
    patterns = ["*.bazel", "*.bzl", "**/BUILD"]
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", *patterns]
    listed = subprocess.run(command, cwd=WORKSPACE, check=True, capture_output=True, text=True)
    return [str(WORKSPACE / name) for name in listed.stdout.split("\0") if name]


def from_npm():
    """Returns the program from the npm package, which it fetches once."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "roma"
    program = cache / f"buildifier-{VERSION}"
    if program.exists():
        return str(program)
    if not shutil.which("npm"):
        return None
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            ["npm", "pack", "--silent", f"@bazel/buildifier@{VERSION}"],
            cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        )
        if done.returncode != 0:
            sys.exit(f"npm could not fetch buildifier {VERSION}:\n{done.stderr}")
        package = next(pathlib.Path(folder).glob("*.tgz"))
        if base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode() != SHA512:
            sys.exit(f"npm's buildifier {VERSION} does not have the digest that tools/checks/starlark.py pins")
        arch = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
        with tarfile.open(package) as archive:
            data = archive.extractfile(f"package/buildifier-linux_{arch}").read()
    cache.mkdir(parents=True, exist_ok=True)
    draft = program.with_suffix(f".{os.getpid()}")
    draft.write_bytes(data)
    draft.chmod(0o755)
    draft.rename(program)
    return str(program)


if __name__ == "__main__":
    sys.exit(main())
