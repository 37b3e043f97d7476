"""Reads the outline of a Rust file: its modules and their items. Shared by the checks."""

import dataclasses
import re
import subprocess

TOKEN = re.compile(
    r"""//[^\n]*"""
    r"""|/\*"""
    r"""|\b(?:b|c)?r(?P<hashes>\#*)\""""
    r"""|(?:\b[bc])?"(?:\\.|[^"\\])*\""""
    r"""|\bb?'(?:\\.[^'\n]*|[^\\'\n])'|'(?:\\.[^'\n]*|[^\\'\n])'""",
    re.S,
)
VISIBILITY = r"(?:pub(?:\s*\([^)]*\))?\s+)?"
MODULE = re.compile(rf"{VISIBILITY}(?:unsafe\s+)?mod\s+((?:r#)?\w+)\s*\{{")
OPEN, CLOSE = "([{", ")]}"


class SyntaxProblem(Exception):
    """The layout of a file is not that of rustfmt."""


@dataclasses.dataclass
class Item:
    """An item of a module, from the offset of its first attribute to the offset after its last byte."""

    code: str
    start: int
    end: int
    attributes: str
    # Set for an inline module, `mod name { ... }`.
    module: "Module" = None


@dataclasses.dataclass
class Module:
    """A file, or the body of an inline module."""

    name: str
    items: list


def rust_files(root, *patterns: str) -> list:
    """Returns the names of our Rust files, tracked or new, without generated ones."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", *(patterns or ["*.rs"])]
    listed = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    names = {name for name in listed.stdout.split("\0") if name.endswith(".rs") and (root / name).exists()}
    return sorted(name for name in names if not name.startswith("third_party/") and not is_generated(root / name))


def is_generated(file) -> bool:
    with file.open() as text:
        return "@generated" in text.read(400)


def masked(text: str) -> str:
    """Returns the text with comments and the contents of literals blanked. Offsets and lines stay the same."""
    parts, at = [], 0
    while match := TOKEN.search(text, at):
        end = match.end()
        if match[0] == "/*":
            end = end_of_comment(text, match.start())
        elif match["hashes"] is not None:
            closing = '"' + match["hashes"]
            found = text.find(closing, end)
            end = len(text) if found < 0 else found + len(closing)
        parts.append(text[at : match.start()])
        blank = re.sub(r"[^\n]", " ", text[match.start() : end])
        # A literal leaves a quote, so that it is not mistaken for blank space.
        parts.append(blank if match[0].startswith("/") else '"' + blank[1:])
        at = end
    return "".join(parts) + text[at:]


def end_of_comment(text: str, start: int) -> int:
    depth = 0
    for match in re.compile(r"/\*|\*/").finditer(text, start):
        depth += 1 if match[0] == "/*" else -1
        if depth == 0:
            return match.end()
    return len(text)


def outline(text: str) -> Module:
    """Returns the items of a file."""
    code = masked(text)
    items, at = items_from(code, 0)
    if at < len(code):
        raise SyntaxProblem("a closing bracket has no opening one")
    return Module("", items)


def items_from(code: str, at: int) -> tuple:
    """Returns the items from an offset on to the end of their module, and the offset of that end."""
    items = []
    while True:
        at = skip_blank(code, at)
        if at == len(code) or code[at] == "}":
            return items, at
        start = at
        while attribute := re.compile(r"#!?\s*\[").match(code, at):
            inner = code[at : attribute.end()].startswith("#!")
            at = skip_blank(code, end_of_brackets(code, attribute.end() - 1))
            if inner:
                start = at
        if at == len(code) or code[at] == "}":
            return items, at
        attributes = code[start:at]
        if module := MODULE.match(code, at):
            inside, end = items_from(code, module.end())
            if end == len(code):
                raise SyntaxProblem(f"the module {module[1]} does not end")
            items.append(Item(module[0], start, end + 1, attributes, Module(module[1], inside)))
            at = end + 1
            continue
        end = end_of_item(code, at)
        if code[at:end] != ";":
            items.append(Item(code[at:end], start, end, attributes))
        at = end


def skip_blank(code: str, at: int) -> int:
    while at < len(code) and code[at].isspace():
        at += 1
    return at


def end_of_item(code: str, at: int) -> int:
    """Returns the offset past an item: past its semicolon, or past its body."""
    until_semicolon = re.compile(rf"{VISIBILITY}(?:use|extern\s+crate|const|static|type)\b(?!\s+(?:fn|unsafe|async)\b)")
    is_statement = bool(until_semicolon.match(code, at))
    while at < len(code):
        if code[at] == ";":
            return at + 1
        if code[at] in OPEN:
            brace = code[at] == "{"
            at = end_of_brackets(code, at)
            if brace and not is_statement:
                return at
        elif code[at] in CLOSE:
            return at
        else:
            at += 1
    return at


def end_of_brackets(code: str, at: int) -> int:
    """Returns the offset past the bracket that closes the one at an offset."""
    depth = 0
    for match in re.compile(r"[()\[\]{}]").finditer(code, at):
        depth += 1 if match[0] in OPEN else -1
        if depth == 0:
            return match.end()
    raise SyntaxProblem("a bracket is not closed")
