#!/usr/bin/env python3
"""Checks that all Rust files import in one order, and with `--write` puts them into it.

A file's imports are up to three groups with an empty line between them: the standard library; other
crates, and modules declared in the same file; `crate`, `super` and `self`. rustfmt sorts each group. The
same holds in nested modules.
"""

import pathlib
import re
import subprocess
import sys

WORKSPACE = pathlib.Path(__file__).resolve().parent.parent.parent
STANDARD = {"std", "core", "alloc"}
OWN = {"crate", "super", "self"}
IMPORT = re.compile(r"(?P<indent> *)(?:pub(?:\([^)]*\))? )?use (?:::)?(?P<root>\w+)")


def main() -> int:
    problems = []
    for path in rust_files():
        text = path.read_text()
        ordered = reorder(text)
        if ordered == text:
            continue
        name = path.relative_to(WORKSPACE)
        problems.append(f"{name}: imports are out of order: tools/checks/imports.py --write, then cargo fmt")
        if sys.argv[1:] == ["--write"]:
            path.write_text(ordered)
    for problem in problems:
        print(problem)
    print(f"{len(problems)} files with imports out of order")
    return 1 if problems and sys.argv[1:] != ["--write"] else 0


def rust_files() -> list:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "*.rs"]
    listed = subprocess.run(command, cwd=WORKSPACE, check=True, capture_output=True, text=True).stdout
    paths = [WORKSPACE / name for name in listed.split("\0") if name and not name.startswith("third_party/")]
    return [path for path in paths if path.exists()]


def reorder(text: str) -> str:
    """Returns the text with the imports of each block in order."""
    lines = text.split("\n")
    declared = set(re.findall(r"^\s*(?:pub(?:\([^)]*\))? )?mod (\w+)", text, re.M))
    out, at = [], 0
    while at < len(lines):
        block, end = read_block(lines, at)
        if not block:
            out.append(lines[at])
            at += 1
            continue
        out += written(block, declared)
        at = end
    return "\n".join(out)


def read_block(lines: list, at: int) -> tuple:
    """Returns the imports that begin at a line, as lists of lines, and where they end."""
    block, end = [], at
    while True:
        item, after = read_import(lines, at)
        if item is None:
            return block, end
        block.append(item)
        end = at = after
        # Empty lines may stand between imports, and belong to none.
        while at < len(lines) and not lines[at].strip():
            at += 1


def read_import(lines: list, at: int) -> tuple:
    """Returns one import with the comments and attributes above it, and where it ends."""
    begin = at
    while at < len(lines) and lines[at].lstrip().startswith(("// ", "#[")):
        at = end_of_attribute(lines, at)
    if at >= len(lines) or not IMPORT.match(lines[at]) or is_inside_function(lines[at]):
        return None, begin
    while not lines[at].rstrip().endswith(";"):
        at += 1
    return lines[begin : at + 1], at + 1


def end_of_attribute(lines: list, at: int) -> int:
    if lines[at].lstrip().startswith("#["):
        while at < len(lines) - 1 and not lines[at].rstrip().endswith("]"):
            at += 1
    return at + 1


def is_inside_function(line: str) -> bool:
    """Modules are nested once at most here; what is further in is the body of a function."""
    return len(line) - len(line.lstrip()) > 4


def written(block: list, declared: set) -> list:
    groups = {0: [], 1: [], 2: []}
    for item in block:
        groups[group_of(item, declared)].append(item)
    out = []
    for items in groups.values():
        if items and out:
            out.append("")
        out += [line for item in items for line in item]
    return out


def group_of(item: list, declared: set) -> int:
    root = next(match.group("root") for line in item if (match := IMPORT.match(line)))
    if root in STANDARD and root not in declared:
        return 0
    return 2 if root in OWN else 1


if __name__ == "__main__":
    sys.exit(main())
