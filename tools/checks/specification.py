#!/usr/bin/env python3
"""Checks that every test that SPECIFICATION.md names exists."""

import pathlib
import re
import sys

WORKSPACE = pathlib.Path(__file__).resolve().parent.parent.parent
SUITES = (WORKSPACE / "src/byob/tests", WORKSPACE / "src/run_workers/tests/cases")


def main() -> int:
    text = (WORKSPACE / "SPECIFICATION.md").read_text()
    promises = re.findall(r"^\| (?!promise|-)(.+?) \| (.+) \|$", text, re.M)
    missing = [
        f"{promise}: no test {suite}::{test}"
        for promise, tests in promises
        for suite, test in re.findall(r"`(\w+)::(\w+)`", tests)
        if not exists(suite, test)
    ]
    bare = [f"{promise}: no test is named" for promise, tests in promises if "::" not in tests]
    for problem in missing + bare:
        print(problem)
    print(f"{len(promises)} promises, {len(missing + bare)} without their test")
    return 1 if missing or bare or not promises else 0


def exists(suite: str, test: str) -> bool:
    files = [folder / f"{suite}.rs" for folder in SUITES]
    return any(file.exists() and re.search(rf"\bfn {test}\(", file.read_text()) for file in files)


if __name__ == "__main__":
    sys.exit(main())
