#!/usr/bin/env python3
"""Checks how commits are written: `area: Imperative title`, and a body that says why.

Judges the commits since the rule was made, in a shallow clone those that are there. Merges are exempt.
"""

import pathlib
import re
import subprocess
import sys

WORKSPACE = pathlib.Path(__file__).resolve().parent.parent.parent
MOST_COLUMNS = 72
# One area or several: a crate, a folder, `docs`, `tests`.
TITLE = re.compile(r"[a-z][\w./-]*(?:, [a-z][\w./-]*)*: [A-Z`]\S*.*[^.]")


def main() -> int:
    commits = read_commits()
    problems = [f"{digest[:9]} {problem}" for digest, message in commits for problem in problems_of(message)]
    for problem in problems:
        print(problem)
    print(f"{len(commits)} commits, {len(problems)} problems")
    return 1 if problems else 0


def read_commits() -> list:
    """Returns the digest and the message of each commit since the one that added this file."""
    here = str(pathlib.Path(__file__).resolve().relative_to(WORKSPACE))
    added = git("log", "--diff-filter=A", "--format=%H", "--", here).split()
    since = [f"{added[-1]}^..HEAD"] if added and has_parent(added[-1]) else ["HEAD"] if added else []
    if not since:
        return []
    records = git("log", "--no-merges", "--format=%H%n%B%x00", *since).split("\0")
    return [tuple(record.strip().split("\n", 1)) for record in records if record.strip()]


def has_parent(digest: str) -> bool:
    return len(git("rev-list", "--parents", "-1", digest).split()) > 1


def problems_of(message: str) -> list:
    title, _, rest = message.strip().partition("\n")
    problems = []
    if not TITLE.fullmatch(title):
        problems.append(f"`{title}`: write `area: Imperative title`, without a full stop")
    if len(title) > MOST_COLUMNS:
        problems.append(f"`{title}`: the title has {len(title)} columns; use at most {MOST_COLUMNS}")
    if not rest.strip():
        problems.append(f"`{title}`: there is no body; say why the change is made")
    elif not rest.startswith("\n"):
        problems.append(f"`{title}`: put an empty line below the title")
    return problems


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=WORKSPACE, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    sys.exit(main())
