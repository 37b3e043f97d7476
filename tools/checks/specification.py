#!/usr/bin/env python3
"""Checks that every test that SPECIFICATION.md names exists.

With `--ran`, that each of them ran and passed when Bazel last ran the tests, everywhere that it has
to hold: what was left out, ignored or renamed is no proof.
"""

import pathlib
import re
import sys

WORKSPACE = pathlib.Path(__file__).resolve().parent.parent.parent
SUITES = [
    WORKSPACE / folder
    for folder in (
        "src/byob/tests",
        "src/run_workers/tests/cases",
        "bzl/tests",
        "sample_udf/client",
        "sample_udf/echo_host",
        "sample_udf/host_calls",
        "sample_udf/sdk",
        "src/byob_c",
    )
]


def main() -> int:
    text = (WORKSPACE / "SPECIFICATION.md").read_text()
    promises = re.findall(r"^\| (?!promise|-)(.+?) \| (.+) \|$", text, re.M)
    named = [(promise, test) for promise, tests in promises for test in re.findall(r"`(\w+)::(\w+)`", tests)]
    missing = [f"{promise}: no test {'::'.join(test)}" for promise, test in named if not exists(*test)]
    if "--ran" in sys.argv[1:]:
        results = logged()
        missing += [f"{promise}: {problem}" for promise, test in named for problem in unproven(test, results)]
    bare = [f"{promise}: no test is named" for promise, tests in promises if "::" not in tests]
    for problem in missing + bare:
        print(problem)
    print(f"{len(promises)} promises, {len(missing + bare)} without their test")
    return 1 if missing or bare or not promises else 0


def logged() -> list:
    """What the logs of Bazel's tests say: the parts of each test's name, target included, and its result."""
    results = []
    for log in sorted((WORKSPACE / "bazel-testlogs").resolve().rglob("test.log")):
        target = next(part for part in reversed(log.parts[:-1]) if part.endswith("_test"))
        text = log.read_text(errors="replace")
        for name, result in re.findall(r"^test ([\w:]+)(?: - should panic)? \.\.\. (.+)$", text, re.M):
            results.append(({target.removesuffix("_test"), *name.split("::")}, result.strip()))
        for result, name in re.findall(r"^\[ +(OK|FAILED|SKIPPED) +\] (\S+) \(", text, re.M):
            results.append(({target.removesuffix("_test"), *re.split("[./]", name)}, result.lower()))
    return results


def unproven(test: tuple, results: list) -> list:
    found = [result for parts, result in results if parts.issuperset(test)]
    if not found:
        return [f"{'::'.join(test)} did not run"]
    return [f"{'::'.join(test)} in one place: {result}" for result in sorted(set(found)) if result != "ok"]


def exists(suite: str, test: str) -> bool:
    """Whether there is such a test in Rust, or in C++."""
    declared = re.compile(rf"\bfn {test}\(|^TEST(?:_F|_P)?\(\w+, {test}\)", re.M)
    names = (f"{suite}.rs", f"{suite}_test.rs", f"{suite}_test.cc")
    files = [folder / name for folder in SUITES for name in names]
    return any(file.exists() and declared.search(file.read_text()) for file in files)


if __name__ == "__main__":
    sys.exit(main())
