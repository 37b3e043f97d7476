#!/usr/bin/env python3
"""Checks that the imports of each Rust module stand together, in three groups with an empty line between them.

    use std::...;                 std, core, alloc

    use nix::...;                 other crates, ours too
    use roma_core::...;

    use crate::...;               this crate: crate, super, self, and modules declared beside

rustfmt sorts within a group. `pub use` is not an import: it has groups of its own, before or after.
Imports in the body of a function or macro are not checked. `--write` rearranges the files.
"""

import pathlib
import re
import subprocess
import sys

import rust_source

WORKSPACE = pathlib.Path(__file__).resolve().parent.parent.parent

IMPORT = re.compile(r"use\s+(?P<extern>::)?(?P<first>(?:r#)?\w+)?")
REEXPORT = re.compile(r"pub(?:\s*\([^)]*\))?\s+use\b")
STANDARD = {"std", "core", "alloc"}
OWN = {"crate", "super", "self"}
GROUPS = ["the standard library", "other crates", "this crate"]
FIX = "run `tools/checks/imports.py --write`"


def main() -> int:
    problems = []
    for name in rust_source.rust_files(WORKSPACE):
        file = WORKSPACE / name
        text = file.read_text()
        try:
            if sys.argv[1:] == ["--write"] and problems_in(text):
                text = formatted(arranged(text))
                file.write_text(text)
            problems += [f"{name}:{line}: {problem}" for line, problem in problems_in(text)]
        except rust_source.SyntaxProblem as problem:
            problems.append(f"{name}: {problem}: run `cargo fmt` first")
    for problem in problems:
        print(problem)
    print(f"{len(problems)} imports out of order" + (f": {FIX}" if problems else ""))
    return 1 if problems else 0


class Imports:
    """The items of one module with their ranges of lines; which of them are imports, and of which group."""

    def __init__(self, text: str, items: list):
        lines = text.split("\n")
        declared = [re.match(rf"{rust_source.VISIBILITY}mod\s+((?:r#)?\w+)", item.code) for item in items]
        self.modules = {match[1] for match in declared if match}
        macros = [re.match(r"macro_rules!\s*(\w+)", item.code) for item in items]
        self.macros = {match[1] for match in macros if match}
        self.items = []
        for item in items:
            first = text.count("\n", 0, item.start)
            last = text.count("\n", 0, item.end - 1)
            while first > 0 and re.match(r"\s*//(?!!)", lines[first - 1]):
                first -= 1
            self.items.append((self.group(item), first, last + 1))
        if any(kind is not None and shares_line(text, item) for (kind, *_), item in zip(self.items, items)):
            raise rust_source.SyntaxProblem("an import shares its line with something else")
        self.blank = [not line.strip() for line in lines]

    def group(self, item) -> object:
        """Returns the number of an import's group, `re-export`, or `None` for any other item."""
        if REEXPORT.match(item.code):
            return "re-export"
        match = IMPORT.match(item.code)
        if not match:
            return None
        if item.code == f"use {match['first']};" and match["first"] in self.macros:
            # The import of a macro has to follow it.
            return None
        if match["first"] in STANDARD:
            return 0
        return 2 if match["first"] in OWN | self.modules and not match["extern"] else 1

    def places(self) -> list:
        """Returns the indices of the imports among the items."""
        return [at for at, (kind, *_) in enumerate(self.items) if isinstance(kind, int)]

    def problem(self) -> tuple:
        """Returns the line of the first import that is out of order, from 1 on, and why it is."""
        places = self.places()
        if not places:
            return None
        for at in range(max(places[0], 1), min(places[-1] + 2, len(self.items))):
            (before, _, end), (kind, start, last) = self.items[at - 1 : at + 1]
            apart = any(self.blank[end:start])
            inside = places[0] < at <= places[-1]
            if "re-export" in (before, kind) and (inside or isinstance(before, int) or isinstance(kind, int)):
                if inside or not apart:
                    return last, "a `pub use` stands among imports: give it a group of its own, after them"
            elif not inside:
                continue
            elif not isinstance(kind, int) or not isinstance(before, int):
                later = next(place for place in places if place >= at)
                return self.items[later][2], "an import stands apart from the others of its module: put it with them"
            elif kind < before:
                return last, f"an import of {GROUPS[kind]} stands after one of {GROUPS[before]}: put it before"
            elif kind > before and not apart:
                return last, f"an empty line is missing between {GROUPS[before]} and {GROUPS[kind]}: add one"
            elif kind == before and apart:
                return last, f"an empty line separates imports of {GROUPS[kind]}: remove it"
        return None


def shares_line(text: str, item) -> bool:
    """Whether an item's lines hold more than the item and a comment behind it."""
    start = text.rfind("\n", 0, item.start) + 1
    behind = text[item.end :].split("\n", 1)[0].strip()
    return bool(text[start : item.start].strip()) or not (behind == "" or behind.startswith("//"))


def modules_of(module) -> list:
    """Returns a module and those in it."""
    return [module] + [inner for item in module.items if item.module for inner in modules_of(item.module)]


def problems_in(text: str) -> list:
    """Returns the first problem of each module of a file."""
    found = [Imports(text, module.items).problem() for module in modules_of(rust_source.outline(text))]
    return [problem for problem in found if problem]


def arranged(text: str) -> str:
    """Returns the text with the imports of each module in order. rustfmt has to sort within the groups."""
    lines = text.split("\n")
    placed, removed = {}, set()
    for module in modules_of(rust_source.outline(text)):
        imports = Imports(text, module.items)
        if not imports.problem():
            continue
        places = imports.places()
        kinds = [kind for kind, *_ in imports.items]
        # Re-exports that touch the imports or stand among them go behind them.
        moved = [at for at, kind in enumerate(kinds) if kind == "re-export" and places[0] < at < places[-1]]
        moved += [at for at in neighbours(imports, places) if at not in moved]
        groups = [[at for at in places if kinds[at] == group] for group in range(3)] + [sorted(moved)]
        blocks = []
        for group in filter(None, groups):
            ranges = [imports.items[at][1:] for at in group]
            blocks.append("\n".join("\n".join(lines[start:end]) for start, end in ranges))
            removed |= {line for start, end in ranges for line in range(start, end)}
        placed[min(imports.items[at][1] for at in [*places, *moved])] = "\n\n".join(blocks) + "\n"
    kept = []
    for at, line in enumerate(lines):
        kept += [placed[at]] if at in placed else []
        kept += [line] if at not in removed else []
    return "\n".join(kept)


def neighbours(imports: Imports, places: list) -> list:
    """Returns the re-exports that no empty line separates from the first or the last import."""
    found = []
    for at, step in ((places[0], -1), (places[-1], 1)):
        here, there = at, at + step
        while 0 <= there < len(imports.items) and imports.items[there][0] == "re-export":
            first, second = sorted((here, there))
            if any(imports.blank[imports.items[first][2] : imports.items[second][1]]):
                break
            found.append(there)
            here, there = there, there + step
    return found


def formatted(text: str) -> str:
    command = ["rustfmt", "--edition=2024", "--emit=stdout", f"--config-path={WORKSPACE}"]
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"`{' '.join(command)}` failed: {done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
