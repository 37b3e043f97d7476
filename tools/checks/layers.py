#!/usr/bin/env python3
"""Checks which of our crates depend on which, tests aside, against the table below.

With `--lines`, prints a Markdown table of each crate's lines of Rust and its dependencies instead.
"""

import json
import pathlib
import subprocess
import sys

import rust_source

WORKSPACE = pathlib.Path(__file__).resolve().parent.parent.parent

# For each crate's folder, which of our crates it depends on. A crate may use only those above it.
LAYERS = {
    "src/sandbox": [],
    "src/protocol": ["src/sandbox"],
    "src/run_workers": ["src/sandbox", "src/protocol"],
    "src/io": ["src/protocol"],
    "src/core": ["src/sandbox"],
    "src/supervise": ["src/sandbox", "src/protocol", "src/io", "src/core"],
    "src/pool": ["src/sandbox", "src/protocol", "src/io", "src/core", "src/supervise"],
    "src/byob": ["src/sandbox", "src/protocol", "src/io", "src/core", "src/supervise", "src/pool"],
    "src/v8_protocol": [],
    "src/v8_shim": [],
    "src/v8": [
        "src/sandbox",
        "src/io",
        "src/core",
        "src/supervise",
        "src/pool",
        "src/v8_protocol",
    ],
    "src/ffi": ["src/byob"],
    "src/structure_test": ["src/sandbox"],
    "src/codegen": [],
    "src/udf": [],
    "src/v8_worker": ["src/udf", "src/v8_protocol", "src/v8_shim"],
    "src/fuzzing": ["src/sandbox", "src/protocol", "src/io", "src/byob", "src/udf"],
    # Messages, programs for the sandbox, and programs for tests.
    "sample_udf/proto": ["src/codegen"],
    "sample_udf/rust": ["src/udf", "sample_udf/proto"],
    "sample_udf/colluding": ["src/udf"],
    "sample_udf/hostile": ["src/udf"],
    "sample_udf/random_calls": ["src/udf"],
    "src/pool/resident_udf": ["src/udf"],
    "src/byob/test_udf": [],
    "src/byob/test_host": ["src/byob"],
    "src/cli/floor": ["src/sandbox", "src/protocol"],
    "src/cli": ["src/sandbox", "src/protocol", "src/supervise", "src/byob", "sample_udf/proto"],
}


def main() -> int:
    found = dependencies(cargo_metadata(), WORKSPACE)
    if sys.argv[1:] == ["--lines"]:
        print(table_of_lines(found, WORKSPACE))
        return 0
    problems = problems_in(LAYERS, found)
    for problem in problems:
        print(problem)
    print(f"{len(found)} crates, {len(problems)} problems with their layers")
    return 1 if problems else 0


def cargo_metadata() -> dict:
    command = ["cargo", "metadata", "--no-deps", "--locked", "--format-version=1"]
    done = subprocess.run(command, cwd=WORKSPACE, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"`{' '.join(command)}` failed:\n{done.stderr}")
    return json.loads(done.stdout)


def dependencies(metadata: dict, root: pathlib.Path) -> dict:
    """Returns for each crate's folder the folders of our crates that it depends on, other than for tests."""
    return {
        folder_in(pathlib.Path(package["manifest_path"]).parent, root): {
            folder_in(pathlib.Path(it["path"]), root)
            for it in package["dependencies"]
            if it.get("path") and it["kind"] != "dev"
        }
        for package in metadata["packages"]
    }


def folder_in(path: pathlib.Path, root: pathlib.Path) -> str:
    return path.relative_to(root).as_posix()


def problems_in(layers: dict, found: dict) -> list:
    """Returns the differences between the table and the crates."""
    order = list(layers)
    problems = [f"{name} is not in LAYERS: add it, with what it may depend on" for name in found if name not in layers]
    problems += [
        f"LAYERS has {name}, which is not a crate of the workspace: remove it" for name in order if name not in found
    ]
    for at, (folder, allowed) in enumerate(layers.items()):
        problems += [
            f"LAYERS lets {folder} use {used}, which is not above it in the table: a crate may use only those above it"
            for used in allowed
            if used not in order[:at]
        ]
        used = found.get(folder, set(allowed))
        problems += [
            f"{folder} depends on {own}, which its layer may not use: remove it from {folder}/Cargo.toml, "
            "or move the code to the layer that may"
            for own in sorted(used - set(allowed))
        ]
        problems += [f"{folder} does not depend on {own}: remove it from LAYERS" for own in allowed if own not in used]
    return problems


def table_of_lines(found: dict, root: pathlib.Path) -> str:
    rows = [("crate", "product", "tests", "depends on"), ("---", "---:", "---:", "---")]
    totals = [0, 0]
    counted = lines_of_crates(list(found), root)
    for folder in sorted(found, key=lambda it: list(LAYERS).index(it) if it in LAYERS else len(LAYERS)):
        totals = [total + lines for total, lines in zip(totals, counted[folder])]
        rows.append((folder, *map(str, counted[folder]), ", ".join(sorted(found[folder])) or "-"))
    rows.append(("all", *map(str, totals), "-"))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def lines_of_crates(folders: list, root: pathlib.Path) -> dict:
    """Returns the lines of product and of tests in each crate's Rust files. A file belongs to the innermost crate."""
    counted = {folder: [0, 0] for folder in folders}
    for name in rust_source.rust_files(root):
        inside = [folder for folder in folders if name.startswith(f"{folder}/")]
        if inside:
            folder = max(inside, key=len)
            lines = lines_of(name[len(folder) + 1 :], (root / name).read_text())
            counted[folder] = [total + more for total, more in zip(counted[folder], lines)]
    return counted


def lines_of(name: str, text: str) -> tuple:
    """Returns the lines of product and of tests in a file, whose name is relative to its crate."""
    lines = text.count("\n")
    *folders, file = name.split("/")
    if {"tests", "testing"} & set(folders) or file.endswith("_test.rs") or file in ("tests.rs", "testing.rs"):
        return 0, lines
    items = [item for item in rust_source.outline(text).items if "#[cfg(test)]" in item.attributes]
    tests = sum(text.count("\n", item.start, item.end) + 1 for item in items)
    return lines - tests, tests


if __name__ == "__main__":
    sys.exit(main())
