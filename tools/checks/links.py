#!/usr/bin/env python3
"""Checks that each link in a tracked Markdown file has a target: a file, and a heading in it."""

import pathlib
import re
import subprocess
import sys

WORKSPACE = pathlib.Path(__file__).resolve().parent.parent.parent

LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)")
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def main() -> int:
    problems = [problem for page in pages() for problem in problems_in(page)]
    for problem in problems:
        print(problem)
    print(f"{len(problems)} broken links")
    return 1 if problems else 0


def pages() -> list:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "*.md"], cwd=WORKSPACE, check=True, capture_output=True, text=True
    )
    return [WORKSPACE / name for name in listed.stdout.split("\0") if name]


def problems_in(page: pathlib.Path) -> list:
    found = []
    for target, anchor in LINK.findall(CODE.sub("", page.read_text(encoding="utf-8"))):
        if "://" in target or target.startswith("mailto:"):
            continue
        aim = page.parent / target if target else page
        name = page.relative_to(WORKSPACE)
        if not aim.exists():
            found.append(f"{name}: {target} does not exist")
        elif anchor and aim.suffix == ".md" and anchor not in anchors(aim):
            found.append(f"{name}: {target or 'this page'} has no heading #{anchor}")
    return found


def anchors(page: pathlib.Path) -> set:
    """Returns the anchors of a page: its headings in lower case, with dashes, without other punctuation."""
    text = CODE.sub("", page.read_text(encoding="utf-8"))
    plain = (re.sub(r"[^\w\- ]", "", heading.strip().lower()) for heading in HEADING.findall(text))
    return {heading.replace(" ", "-") for heading in plain}


if __name__ == "__main__":
    sys.exit(main())
