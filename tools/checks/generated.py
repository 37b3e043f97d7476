#!/usr/bin/env python3
"""Checks that the Rust that the macros generate is formatted exactly as rustfmt formats it."""

import pathlib
import subprocess
import sys

WORKSPACE = pathlib.Path(__file__).resolve().parents[2]
# Together, the protos of these packages use every feature that the generator supports.
PACKAGES = ["bzl/tests", "sample_udf/client", "sample_udf/host_calls", "sample_udf/proto", "sample_udf/sdk"]


def main() -> int:
    bazel = WORKSPACE / "tools/bazel"
    targets = [f"//{package}:all" for package in PACKAGES]
    subprocess.run([bazel, "build", "--noshow_progress", *targets], cwd=WORKSPACE, check=True)
    out = subprocess.run([bazel, "info", "bazel-bin"], cwd=WORKSPACE, check=True, stdout=subprocess.PIPE, text=True)
    folders = [pathlib.Path(out.stdout.strip()) / package for package in PACKAGES]
    files = sorted(file for folder in folders for file in folder.glob("*_source.rs"))
    if not files:
        sys.exit("the build made no *_source.rs: PACKAGES in tools/checks/generated.py is out of date")
    done = subprocess.run(["rustfmt", "--edition=2024", "--check", *files], stdin=subprocess.DEVNULL)
    print(f"{len(files)} generated files")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
