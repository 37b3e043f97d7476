#!/usr/bin/env python3
"""Keeps docs/udf/syscalls.md: which system calls a UDF may make at each filter level, from the filter's source.

Without arguments, fails if the page is out of date, or if the source has something that this program
cannot describe. With `--write`, writes the page.
"""

import pathlib
import re
import sys

WORKSPACE = pathlib.Path(__file__).resolve().parent.parent.parent
POLICY = WORKSPACE / "src/sandbox/seccomp/policy.rs"
PAGE = WORKSPACE / "docs/udf/syscalls.md"

HEAD = """# System calls

Which system calls a UDF may make at each level of the filter. The server team chooses the level; it is
`strict` unless they say otherwise. A call that fails does not end the process; one of another architecture
(`int 0x80`) does, at every level but `none`.

This page is made of the filter's source: `tools/checks/syscalls.py --write`.

- **allowed**: the call works, as far as the [sandbox](environment.md) has what it needs.
- **forbidden**: it fails with `EPERM`.
- **unknown**: it fails with `ENOSYS`, so that a C library falls back to another call.

Calls with a star (\\*) exist on x86-64 only; all others on x86-64 and AArch64.
"""

# How the lists of the source and the tests of arguments are described.
FORBIDDEN = "FORBIDDEN"
KNOWN_LISTS = {
    "CONDITIONAL",
    "ENGINE_ONLY_CONDITIONAL",
    "STRICT_ONLY_CONDITIONAL",
    "STRICTLY_FORBIDDEN",
    "NEEDED",
    "SOCKET_OPTIONS_OF_OTHERS",
    "ADVICE_THAT_STAYS",
}
TESTS = {
    "NoBits": "argument {} has none of {}",
    "OneOf": "argument {} is {}",
    "NoneOf": "argument {} is not {}",
}


def main() -> int:
    page = written(POLICY.read_text())
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(page)
    current = PAGE.exists() and PAGE.read_text() == page
    if not current:
        print(f"{PAGE.relative_to(WORKSPACE)} is out of date: run tools/checks/syscalls.py --write")
    print(f"{page.count('`')//2} names on the page of system calls, {0 if current else 1} problems")
    return 0 if current else 1


def written(source: str) -> str:
    lists = lists_of(source)
    groups = re.findall(r"\(Guard::\w+, (\w+)\)", lists[FORBIDDEN][1])
    unknown = set(lists) - KNOWN_LISTS - set(groups) - {FORBIDDEN, "LEGACY_STRICTLY_FORBIDDEN", "LEGACY_NEEDED"}
    if unknown:
        sys.exit(f"tools/checks/syscalls.py does not know these lists of the policy: {', '.join(sorted(unknown))}")
    both = forbidden_groups(lists, groups)
    conditional = rows(lists, "CONDITIONAL")
    return "\n".join(
        [
            HEAD,
            "## Level `strict`\n",
            "What computing on one request needs is allowed, and nothing else.\n",
            "### Allowed\n",
            needed(lists),
            "### Allowed with certain arguments\n",
            table(sorted(conditional + rows(lists, "STRICT_ONLY_CONDITIONAL"))),
            "### Forbidden\n",
            both + line("also, at this level only", plain(lists, "STRICTLY_FORBIDDEN", "LEGACY_STRICTLY_FORBIDDEN")),
            "Every other call is unknown.\n",
            "## Level `engine`\n",
            "What could harm, or let requests meet, is forbidden. Everything else that Linux had when the filter",
            "was written is allowed; what is newer is unknown.\n",
            "### Allowed with certain arguments\n",
            table(sorted(conditional + rows(lists, "ENGINE_ONLY_CONDITIONAL"))),
            "### Forbidden\n",
            both,
            "## Level `none`\n",
            "There is no filter. The rest of the sandbox holds: most of what is forbidden above fails there too, for",
            "want of a capability, of a file, or of anybody to reach.\n",
        ]
    )


def lists_of(source: str) -> dict:
    """Returns the lists of the policy as (comment, text). Those of AArch64 are empty."""
    pattern = r"((?:^///[^\n]*\n)*)(?:^#\[[^\n]*\]\n)*^const (\w+): &\[.*?\] = &\[(.*?)\];$"
    found = {}
    for comment, name, text in re.findall(pattern, source, re.M | re.S):
        if name not in found or text.strip():
            found[name] = (" ".join(part.strip() for part in comment.replace("///", "").splitlines()), text)
    return found


def calls(text: str) -> list:
    return [name.lower() for name in re.findall(r"\bSYS_(\w+)", bare(text))]


def named(names: list, mark: str = "") -> list:
    return [f"`{name}`{mark}" for name in names]


def plain(lists: dict, name: str, legacy: str) -> list:
    return named(calls(lists[name][1])) + named(calls(lists[legacy][1]), "\\*")


def line(title: str, names: list) -> str:
    return f"- **{title}**: {', '.join(names)}\n"


def forbidden_groups(lists: dict, groups: list) -> str:
    text = ""
    for name in groups:
        if not name.startswith("LEGACY_"):
            legacy = f"LEGACY_{name}"
            marked = named(calls(lists[legacy][1]), "\\*") if legacy in groups else []
            title = lists[name][0].rstrip(".")
            text += line(title[0].lower() + title[1:], named(calls(lists[name][1])) + marked)
    return text


def needed(lists: dict) -> str:
    """Returns the calls that are needed, grouped by the comments between them."""
    text = ""
    for title, part in re.findall(r"//([^\n]*)\n((?:\s*SYS_[^\n]*\n)+)", lists["NEEDED"][1]):
        text += line(title.strip().rstrip(".").lower(), named(calls(part)))
    return text + line("of another time", named(calls(lists["LEGACY_NEEDED"][1]), "\\*"))


def rows(lists: dict, name: str) -> list:
    """Returns the (call, verdict) entries of a list as (call, condition)."""
    text = bare(lists[name][1])
    for values_name in KNOWN_LISTS:
        text = re.sub(rf"\b{values_name}\b", lambda _: f"&[{bare(lists[values_name][1])}]", text)
    found = []
    for entry in re.split(r"(?=\(\s*SYS_)", text)[1:]:
        name = re.search(r"SYS_(\w+)", entry)[1]
        found.append((name, condition(entry)))
    return sorted(found)


def bare(text: str) -> str:
    return re.sub(r"//[^\n]*", "", text).strip()


def condition(entry: str) -> str:
    if "Errno(ENOSYS)" in entry:
        return "never: unknown"
    tests = re.findall(r"Test::(\w+)\(\s*(\d+),\s*(?:&\[(.*?)\]|(\w+))", entry, re.S)
    conditions = [TESTS[kind].format(place, values(several or one)) for kind, place, several, one in tests]
    if not conditions and "GATED" not in entry:
        sys.exit(f"tools/checks/syscalls.py cannot describe the condition of {entry.strip()}")
    return " and ".join(conditions) or "never: forbidden, but for Roma's own processes"


def values(text: str) -> str:
    numbers = [re.sub(r"\s+as u32|u32::", "", value).strip() for value in text.split(",") if value.strip()]
    meanings = {
        "NAMESPACES": "the bits that make namespaces",
        "71": "`SO_NETNS_COOKIE`",
        "76": "`SO_PASSPIDFD`",
        "77": "`SO_PEERPIDFD`",
        "MAX": "all bits",
    }
    return ", ".join(meanings.get(number, f"`{number}`") for number in numbers)


def table(entries: list) -> str:
    body = "".join(f"| `{name}` | {when} |\n" for name, when in entries)
    return f"| call | works if (else `EPERM`) |\n|---|---|\n{body}"


if __name__ == "__main__":
    sys.exit(main())
