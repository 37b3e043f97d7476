#!/usr/bin/env python3
"""Keeps docs/unsafe.md: every piece of unsafe code, where it is, and why it is sound.

Without arguments, fails where a reason is missing, where unsafe code is outside src/sandbox and not
in ELSEWHERE, or where the list is not current. With `--write`, writes the list.
"""

import pathlib
import re
import subprocess
import sys

WORKSPACE = pathlib.Path(__file__).resolve().parent.parent.parent
LIST = WORKSPACE / "docs/unsafe.md"

HOME = "src/sandbox/"
# Where else unsafe code may be: at the border to C, on the other side of the sandbox's, or only in tests.
ELSEWHERE = {
    "sample_udf/": "programs for the sandbox, which try what Rust's own library does not offer",
    "src/byob/test_udf/": "a program for the sandbox",
    "src/ffi/abi/": "the C ABI: functions and structures whose pointers are known only by contract",
    "src/cli/floor/launcher.rs": "the cheapest start of a process, which Roma is measured against",
    "src/run_workers/testing/": "a program for the sandbox",
    "src/v8_shim/": "the boundary to V8, inside the sandbox",
    "src/udf/descriptors.rs": "adopts the descriptors that a worker inherits, inside the sandbox",
}

HEAD = """# Unsafe code

Every piece of unsafe code, and why it is sound. `tools/checks/unsafe.py --write` makes this page
from the SAFETY comments; `tools/check unsafe` fails where a reason is missing, where a piece is
outside `src/sandbox` and not among the exceptions below, or where this page is not current.
"""

# The type of a pointer to an unsafe function does not count: calling it needs a block.
UNSAFE = re.compile(r"\bunsafe\s*(?!extern \"C\" fn\()(\{|fn\b|impl\b|extern\b|trait\b)|#\[unsafe\(")
FUNCTION = re.compile(r"^\s*(?:pub(?:\(.+?\))? )?(?:const |async |unsafe |extern \"C\" )*fn (\w+)")
CONSTANT = re.compile(r"^\s*(?:pub(?:\(.+?\))? )?(?:const|static) (\w+)")


def main() -> int:
    pieces = [piece for name in rust_files() for piece in pieces_of(name)]
    page = written(pieces)
    if sys.argv[1:] == ["--write"]:
        LIST.write_text(page)
    problems = [f"{name}: {place}: no SAFETY comment" for name, place, why in pieces if not why]
    problems += [f"{name}: unsafe code belongs in {HOME}" for name, _, _ in pieces if not is_allowed(name)]
    if not LIST.exists() or LIST.read_text() != page:
        problems.append(f"{LIST.relative_to(WORKSPACE)} is not current: tools/checks/unsafe.py --write")
    for problem in problems:
        print(problem)
    print(f"{len(pieces)} pieces of unsafe code, {len(problems)} problems")
    return 1 if problems else 0


def rust_files() -> list:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "*.rs"]
    listed = subprocess.run(command, cwd=WORKSPACE, check=True, capture_output=True, text=True)
    return sorted(name for name in listed.stdout.split("\0") if name and (WORKSPACE / name).exists())


def pieces_of(name: str) -> list:
    """File, function and reason of each piece of unsafe code in a file."""
    lines = (WORKSPACE / name).read_text().splitlines()
    place = "the file"
    found = []
    for at, line in enumerate(lines):
        match = FUNCTION.match(line) or CONSTANT.match(line)
        place = f"`{match.group(1)}`" if match else place
        code = line.split("//")[0]
        found += [(name, place, reason(lines, at)) for _ in UNSAFE.findall(code)]
    return found


def reason(lines: list, at: int) -> str:
    """The SAFETY comment above a line's statement, or the Safety section above an unsafe function."""
    top = at
    while top > 0 and not is_comment(lines[top - 1]) and not ends_statement(lines[top - 1]):
        top -= 1
    end = top
    while top > 0 and (is_comment(lines[top - 1]) or lines[top - 1].lstrip().startswith("#[")):
        top -= 1
    text = " ".join(line.strip().lstrip("/").strip() for line in lines[top:end] if is_comment(line))
    match = re.search(r"(?:SAFETY:|# Safety)\s*(.+)", text)
    return match.group(1).strip() if match else ""


def is_comment(line: str) -> bool:
    return line.lstrip().startswith("//")


def ends_statement(line: str) -> bool:
    return line.strip() == "" or line.rstrip().endswith((";", "}"))


def is_allowed(name: str) -> bool:
    return name.startswith((HOME, *ELSEWHERE))


def written(pieces: list) -> str:
    ours = [piece for piece in pieces if piece[0].startswith(HOME)]
    others = [piece for piece in pieces if not piece[0].startswith(HOME)]
    exceptions = "".join(f"- `{place}`: {why}\n" for place, why in ELSEWHERE.items())
    return f"{HEAD}\n## {HOME.rstrip('/')}\n\n{table(ours)}\n## Exceptions\n\n{exceptions}\n{table(others)}"


def table(pieces: list) -> str:
    rows = "".join(f"| {name} | {place} | {why.replace('|', chr(92) + '|')} |\n" for name, place, why in pieces)
    return f"| file | in | why it is sound |\n|---|---|---|\n{rows}"


if __name__ == "__main__":
    sys.exit(main())
