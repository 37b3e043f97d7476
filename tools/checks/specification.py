#!/usr/bin/env python3
"""Checks that every test that SPECIFICATION.md names exists.

With `--ran`, also that each of them ran and passed when Bazel last ran the tests, wherever it has to
hold: a test that was left out, ignored or renamed proves nothing.
"""

import pathlib
import re
import subprocess
import sys

WORKSPACE = pathlib.Path(__file__).resolve().parent.parent.parent
# Where tests that prove promises may be.
FOLDERS = ("src", "sample_udf", "bzl", "container")
# A test's name: the suite or module, further modules, the test.
NAME = re.compile(r"`(\w+(?:::\w+)+)`")


def main() -> int:
    promises = read_promises((WORKSPACE / "SPECIFICATION.md").read_text())
    named = [(promise, name) for promise, names in promises for name in names]
    files = test_files()
    missing = [f"{promise}: no test {name}" for promise, name in named if not exists(name, files)]
    if "--ran" in sys.argv[1:]:
        results = logged()
        missing += [f"{promise}: {problem}" for promise, name in named for problem in unproven(name, results)]
    bare = [f"{promise}: no test is named" for promise, names in promises if not names]
    for problem in missing + bare:
        print(problem)
    print(f"{len(promises)} promises, {len(named)} tests, {len(missing + bare)} problems")
    return 1 if missing or bare or not promises else 0


def read_promises(text: str) -> list:
    """Returns each promise with the names of its tests, from the rows of the tables."""
    rows = re.findall(r"^\| (?!promise|-)(.+?) \| (.+) \|$", text, re.M)
    return [(promise, NAME.findall(tests)) for promise, tests in rows]


def test_files() -> list:
    """Returns the text of each source file with the parts of its path, by which a test's name finds it."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", *FOLDERS]
    listed = subprocess.run(command, cwd=WORKSPACE, check=True, capture_output=True, text=True).stdout
    names = [name for name in listed.split("\0") if name.endswith((".rs", ".cc"))]
    paths = [WORKSPACE / name for name in names]
    return [(modules(name), path.read_text()) for name, path in zip(names, paths) if path.exists()]


def modules(name: str) -> list:
    """Returns the modules that a file's path names: `src/core/error/error_test.rs` is `error` of `error`."""
    parts = list(pathlib.PurePath(name).with_suffix("").parts)
    if parts[-1] == "mod":
        parts.pop()
    return [part.removesuffix("_test") for part in parts]


def exists(name: str, files: list) -> bool:
    """Returns whether there is such a test, in Rust or in C++."""
    *path, test = [part for part in name.split("::") if part != "tests"]
    declared = re.compile(rf"\bfn {test}\(|^TEST(?:_F|_P)?\(\w+, {test}\)", re.M)
    return any(
        parts[-1] == path[-1] and set(path) <= set(parts) and declared.search(text) for parts, text in files
    )


def logged() -> list:
    """Returns the parts of each test's name, target included, and its result, from Bazel's logs."""
    results = []
    for log in sorted((WORKSPACE / "bazel-testlogs").resolve().rglob("test.log")):
        target = next(part for part in reversed(log.parts[:-1]) if part.endswith("_test"))
        results += results_of(target.removesuffix("_test"), log.read_text(errors="replace"))
    return results


def results_of(target: str, text: str) -> list:
    results = []
    for name, result in re.findall(r"^test ([\w:]+)(?: - should panic)? \.\.\. (.+)$", text, re.M):
        results.append(({target, *name.split("::")}, result.strip()))
    for result, name in re.findall(r"^\[ +(OK|FAILED|SKIPPED) +\] (\S+) \(", text, re.M):
        results.append(({target, *re.split("[./]", name)}, result.lower()))
    return results


def unproven(name: str, results: list) -> list:
    """Returns why the logs do not prove that this test ran and passed everywhere."""
    found = [result for parts, result in results if parts.issuperset(name.split("::"))]
    if not found:
        return [f"{name} did not run"]
    return [f"{name} in one place: {result}" for result in sorted(set(found)) if result != "ok"]


if __name__ == "__main__":
    sys.exit(main())
