#!/usr/bin/env python3
"""Checks that every test that SPECIFICATION.md names exists.

A name is `suite::test`, `module::tests::test`, or any longer path of Rust modules. With `--ran`,
checks that each test ran and passed when Bazel last ran the tests, in every place where it has to
hold. A test that was left out, ignored or renamed proves nothing.
"""

import pathlib
import re
import subprocess
import sys

WORKSPACE = pathlib.Path(__file__).resolve().parent.parent.parent
FOLDERS = ("src", "sample_udf", "bzl", "container", "tools")

ROW = re.compile(r"^\| (?!promise \||-)(.+?) \| (.+) \|$", re.M)
BACKTICKED = re.compile(r"`([^`]+)`")
TEST_NAME = re.compile(r"\w+(?:::\w+)+")
RUST_RESULT = re.compile(r"^test ([\w:]+)(?: - should panic)? \.\.\. (.+)$", re.M)
CC_RESULT = re.compile(r"^\[ +(OK|FAILED|SKIPPED) +\] (\S+) \(", re.M)


def main() -> int:
    text = (WORKSPACE / "SPECIFICATION.md").read_text()
    logs = logged((WORKSPACE / "bazel-testlogs").resolve()) if "--ran" in sys.argv[1:] else None
    problems = problems_in(text, sources(WORKSPACE), logs)
    for problem in problems:
        print(problem)
    promises = len(ROW.findall(text))
    print(f"{promises} promises, {len(problems)} problems with their tests")
    return 1 if problems or not promises else 0


def problems_in(text: str, files: dict, logs: list = None) -> list:
    """Returns what is wrong with the tests of each promise. Without `logs`, does not check that they ran."""
    problems = []
    for promise, tests in ROW.findall(text):
        names = BACKTICKED.findall(tests)
        problems += [] if names else [f"{promise}: names no test"]
        for name in names:
            if not TEST_NAME.fullmatch(name):
                problems.append(f"{promise}: `{name}` is not the name of a test: write `suite::test`")
                continue
            test = name.split("::")
            places = [file for file, source in files.items() if declares(file, source, test)]
            if not places:
                problems.append(f"{promise}: the test {name} does not exist")
            elif logs is not None:
                problems += [f"{promise}: {problem}" for problem in unproven(test, places, logs)]
    return problems


def sources(root: pathlib.Path) -> dict:
    """Returns the text of each Rust and C++ file that may hold tests, by its path."""
    patterns = [f"{folder}/*.{suffix}" for folder in FOLDERS for suffix in ("rs", "cc")]
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", *patterns]
    listed = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    names = [name for name in listed.stdout.split("\0") if name and (root / name).exists()]
    return {pathlib.PurePosixPath(name): (root / name).read_text() for name in names}


def declares(file: pathlib.PurePosixPath, source: str, test: list) -> bool:
    """Whether a file is the suite or module of a test, and has the test."""
    *modules, name = test
    if name not in source:
        return False
    if file.suffix == ".cc":
        declared = re.search(rf"^TEST(?:_F|_P)?\(\w+, {name}\)", source, re.M)
        return bool(declared) and modules == [file.stem.removesuffix("_test")]
    function = rf"^[ \t]*(?:pub(?:\(\w+\))? )?(?:async )?fn {name}\("
    if "tests" in modules:
        # A macro of a suite may make a function a test. A unit test has an attribute.
        function = rf"^[ \t]*#\[(?:\w+::)*test\b.*\]\n(?:[ \t]*(?:#\[.*\]|//.*)\n)*{function[1:]}"
    return bool(re.search(function, source, re.M)) and any(
        is_module(path, modules[:depth]) and all(has_module(source, inner) for inner in modules[depth:])
        for path in module_paths(file)
        for depth in range(1, len(modules) + 1)
    )


def module_paths(file: pathlib.PurePosixPath) -> list:
    """Returns the paths that a file's module may have, from the workspace's root on."""
    folder = list(file.parent.parts)
    if file.stem in ("lib", "main", "mod"):
        return [folder]
    if file.stem.endswith("_test"):
        # A suite of its own, or the module `tests` of the file or folder of that name.
        module = file.stem.removesuffix("_test")
        return [[*folder, module], [*folder, module, "tests"], [*folder, "tests"]]
    return [[*folder, file.stem]]


def is_module(path: list, modules: list) -> bool:
    return path[-len(modules):] == modules


def has_module(source: str, module: str) -> bool:
    return bool(re.search(rf"^[ \t]*(?:pub(?:\(\w+\))? )?mod {module} \{{", source, re.M))


def logged(folder: pathlib.Path) -> list:
    """Returns the results in the logs of Bazel's tests: package, parts of the name from the target on, result."""
    results = []
    for log in sorted(folder.rglob("test.log")):
        parts = log.relative_to(folder).parts
        at = max(index for index, part in enumerate(parts) if part.endswith("_test"))
        package, target = pathlib.PurePosixPath(*parts[:at]), parts[at].removesuffix("_test")
        text = log.read_text(errors="replace")
        for name, result in RUST_RESULT.findall(text):
            results.append((package, [target, *name.split("::")], result.strip()))
        for result, name in CC_RESULT.findall(text):
            results.append((package, [target, *re.split("[./]", name)], result.lower()))
    return results


def unproven(test: list, places: list, logs: list) -> list:
    """Returns why the logs do not prove that a test, which is declared in `places`, passed everywhere."""
    name = "::".join(test)
    found = [
        result
        for package, parts, result in logs
        if is_run_of(test, parts) and any(file.is_relative_to(package) for file in places)
    ]
    if not found:
        return [f"the test {name} did not run"]
    return [f"the test {name} did not pass everywhere: {result}" for result in sorted(set(found)) if result != "ok"]


def is_run_of(test: list, parts: list) -> bool:
    """Whether a test's name in a log, from the target on, is that of `test`.

    A suite may run a test in several modes, whose names are between or after those of suite and
    test. A unit test has only one name.
    """
    if "tests" in test:
        return parts[-len(test):] == test
    rest = iter(parts)
    return all(part in rest for part in test)


if __name__ == "__main__":
    sys.exit(main())
