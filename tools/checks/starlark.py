#!/usr/bin/env python3
"""Checks the format and style of Starlark files with buildifier.

buildifier is taken from PATH or else, where npm is at hand, from its npm package, checked against
the digest below and kept in the cache. On a machine with neither, the files are only parsed by
Bazel, and this says so.
"""

import base64
import hashlib
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile

WORKSPACE = pathlib.Path(__file__).resolve().parent.parent.parent

# To bump: `npm view @bazel/buildifier dist.integrity`.
VERSION = "8.2.1"
SHA512 = "eZ/Aq+2r4PcJa6LbPCT6ffgIJfTU/gYilqIzoX2OLM4nNkbQC6tTMPZNn7aHHjhGPxbNLv41zm4Xqt1olCLgXw=="

# Not ours to shape: what they warn about is how rules of this Bazel version are written.
WARNINGS = "-module-docstring,-native-cc-library,-native-cc-proto,-native-proto,-native-proto-lang-toolchain,-native-sh-test"


def main() -> int:
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
    """The program out of the npm package, fetched once."""
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
            sys.exit(f"npm's buildifier {VERSION} is not the one that this file pins")
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
