#!/usr/bin/env python3
"""Checks how commits are written: `area: Imperative title`, an empty line, and a body that says why.

Only commits whose tree has this file are checked: the others are older than the rule. Merges are
exempt. Commits of `origin/main` are left out, or those of `--base REVISION` if given. If none remains,
as in a fresh clone of main, every commit that the clone has is checked.
"""

import argparse
import pathlib
import re
import subprocess
import sys

WORKSPACE = pathlib.Path(__file__).resolve().parent.parent.parent
RULE = "tools/checks/commits.py"
WIDTH = 72

TITLE = re.compile(r"(?P<area>[\w./*-]+(?:, [\w./*-]+)*): (?P<words>\S.*)")
TRAILER = re.compile(r"[A-Z][\w-]+: \S.*|\(cherry picked from commit \w+\)")
# First words of titles that are not in the imperative.
ARTICLES = {"A", "An", "The", "This", "That", "It", "Its", "Some", "All", "Each", "Every", "No", "There"}
TELLING = re.compile(
    r"(?:Add|Allow|Check|Correct|Fix|Implement|Improve|Keep|Mov|Prevent|Refactor|Renam|Remov|Replac|Return|Support|Test"
    r"|Updat)(?:s|es|d|ed|ing)|Makes|Making|Made|Uses|Using|Used|Chang(?:es|ed|ing)|Drop(?:s|ped|ping)|Introduc(?:es|ed|ing)"
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", metavar="REVISION", help="check the commits that REVISION does not have")
    arguments = parser.parse_args()
    commits = commits_of_change(WORKSPACE, arguments.base)
    problems = [f"{commit[:10]} {problem}" for commit in commits for problem in problems_of(message(commit))]
    for problem in problems:
        print(problem)
    print(f"{len(commits)} commits, {len(problems)} problems; CONTRIBUTING.md says how commits are written")
    return 1 if problems else 0


def commits_of_change(root: pathlib.Path, base: str = None) -> list:
    """Returns the commits to check, newest first."""
    if base:
        listed = git(root, "rev-list", "--no-merges", "HEAD", f"^{base}")
    else:
        upstream = git(root, "for-each-ref", "--format=%(objectname)", "refs/remotes/origin/main").split()
        beyond = git(root, "rev-list", "--no-merges", "HEAD", *(f"^{it}" for it in upstream))
        listed = beyond or git(root, "rev-list", "--no-merges", "HEAD")
    commits = listed.split()
    asked = "".join(f"{commit}:{RULE}\n" for commit in commits)
    answers = git(root, "cat-file", "--batch-check", stdin=asked).splitlines()
    return [commit for commit, answer in zip(commits, answers) if not answer.endswith(" missing")]


def message(commit: str) -> str:
    return git(WORKSPACE, "log", "-1", "--format=%B", commit)


def problems_of(text: str) -> list:
    """Returns what is wrong with the message of a commit, and what to do about it."""
    title, *rest = text.rstrip().split("\n")
    problems = []
    if len(title) > WIDTH:
        problems.append(f"the title has {len(title)} columns: shorten it to {WIDTH}, and say the rest in the body")
    if title.endswith("."):
        problems.append("the title ends with a full stop: remove it")
    match = TITLE.fullmatch(title)
    if title.startswith(("fixup!", "squash!", "amend!")):
        problems.append("it is to be squashed: `git rebase --autosquash` does that")
    elif not match:
        problems.append("the title names no area: write `area: Imperative title`, such as `pool: Drop the unused lock`")
    else:
        problems += problems_of_words(match["words"])
    if rest and rest[0].strip():
        problems.append("the title and the body have no empty line between them: add one")
    if not any(line.strip() and not TRAILER.fullmatch(line.strip()) for line in rest):
        problems.append("the message has no body: add one that says why the change is made")
    return [f"`{title}`: {problem}" for problem in problems]


def problems_of_words(words: str) -> list:
    first = words.split()[0].rstrip(",:")
    if first[0].islower():
        return [f"`{first}` after the area begins with a small letter: write `area: Imperative title`"]
    if first in ARTICLES or TELLING.fullmatch(first):
        return [f"the title does not begin with a verb in the imperative but with `{first}`: say what to do, as in `Add`"]
    return []


def git(root: pathlib.Path, *arguments: str, stdin: str = "") -> str:
    done = subprocess.run(["git", *arguments], cwd=root, input=stdin, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"`git {' '.join(arguments)}` failed: {done.stderr.strip()}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
