#!/usr/bin/env python3
"""Checks which of our crates depend on which: the layers that ARCHITECTURE.md describes.

With `--lines`, prints the crates with their lines of Rust and their dependencies as a table.
"""

import json
import pathlib
import subprocess
import sys

WORKSPACE = pathlib.Path(__file__).resolve().parent.parent.parent

# Each crate's folder, and the own crates that it may depend on. Programs that only tests use may also
# depend on what they test.
LAYERS = {
    "src/sandbox": [],
    "src/protocol": ["sandbox"],
    "src/run_workers": ["protocol", "sandbox"],
    "src/io": ["protocol"],
    "src/core": ["sandbox"],
    "src/supervise": ["core", "io", "protocol", "sandbox"],
    "src/pool": ["core", "io", "protocol", "sandbox", "supervise"],
    "src/byob": ["core", "io", "pool", "protocol", "sandbox", "supervise"],
    "src/ffi": ["byob"],
    "src/udf": [],
    "src/codegen": [],
    "src/structure_test": ["sandbox"],
    "src/cli": ["byob", "protocol", "sandbox", "sample-proto", "supervise"],
    "src/cli/floor": ["protocol", "sandbox"],
    "src/fuzzing": ["byob", "io", "protocol", "sandbox", "udf"],
    "src/pool/resident_udf": ["udf"],
    "src/byob/test_host": ["byob"],
    "src/byob/test_udf": [],
    "sample_udf/hostile": ["udf"],
    "sample_udf/proto": ["codegen"],
    "sample_udf/rust": ["sample-proto", "udf"],
}


def main() -> int:
    crates = read_crates()
    if sys.argv[1:] == ["--lines"]:
        print(table(crates))
        return 0
    problems = problems_of(crates, LAYERS)
    for problem in problems:
        print(problem)
    print(f"{len(crates)} crates, {len(problems)} problems")
    return 1 if problems else 0


def read_crates() -> dict:
    """Returns the own crates that each crate depends on, by folder."""
    command = ["cargo", "metadata", "--no-deps", "--locked", "--format-version=1"]
    text = subprocess.run(command, cwd=WORKSPACE, check=True, capture_output=True, text=True).stdout
    crates = {}
    for package in json.loads(text)["packages"]:
        folder = pathlib.Path(package["manifest_path"]).parent.relative_to(WORKSPACE)
        own = [d["name"] for d in package["dependencies"] if d.get("path") and d["kind"] != "dev"]
        crates[str(folder)] = sorted(name.removeprefix("roma-") for name in own)
    return crates


def problems_of(crates: dict, layers: dict) -> list:
    problems = []
    for folder, own in sorted(crates.items()):
        if folder not in layers:
            problems.append(f"{folder}: say in tools/checks/layers.py which crates it may depend on")
            continue
        allowed = layers[folder]
        for name in own:
            if name not in allowed:
                problems.append(f"{folder} depends on {name}, which its layer does not allow")
        for name in allowed:
            if name not in own:
                problems.append(f"{folder} may depend on {name} and does not; remove that from the layers")
    problems += [f"{folder} is in the layers and not a crate" for folder in sorted(set(layers) - set(crates))]
    return problems


def table(crates: dict) -> str:
    rows = ["| crate | lines | test lines | may depend on |", "|---|---|---|---|"]
    for folder in LAYERS:
        product, tests = lines_of(folder, crates)
        rows.append(f"| `{folder}` | {product} | {tests} | {', '.join(LAYERS[folder]) or 'none'} |")
    return "\n".join(rows)


def lines_of(folder: str, crates: dict) -> tuple:
    """Returns the lines of product and of test code, without those of crates in subfolders."""
    product = tests = 0
    inner = [f"{other}/" for other in crates if other.startswith(f"{folder}/")]
    for path in sorted((WORKSPACE / folder).rglob("*.rs")):
        name = str(path.relative_to(WORKSPACE))
        if name.startswith(tuple(inner)):
            continue
        text = path.read_text()
        if path.stem.endswith("_test") or {"tests", "testing"} & set(path.parts):
            tests += text.count("\n")
            continue
        head, mark, tail = text.partition("#[cfg(test)]\nmod ")
        product += head.count("\n")
        tests += (mark + tail).count("\n")
    return product, tests


if __name__ == "__main__":
    sys.exit(main())
