#!/usr/bin/env python3
"""Checks that Bazel and Cargo build every crate with the same dependencies.

Both take third-party crates and their versions from Cargo.toml and Cargo.lock. What can differ is
which crates Bazel has, and what each of its targets depends on.
"""

import json
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree

WORKSPACE = pathlib.Path(__file__).resolve().parent.parent.parent


def main() -> int:
    members = cargo_members()
    problems = unknown_to_bazel(members)
    in_bazel = bazel_packages()
    for folder, (normal, dev) in sorted(members.items()):
        built, tested = in_bazel.get(folder, (set(), set()))
        problems += differences(folder, "depends on", normal, built)
        problems += differences(folder, "depends, in tests, on", dev - normal, tested - built)
    for problem in problems:
        print(problem)
    print(f"{len(members)} crates, {len(problems)} differences between Cargo and Bazel")
    return 1 if problems else 0


def cargo_members() -> dict:
    """Returns for each crate's folder its dependencies and those of its tests.

    A crate of this workspace is named by its folder. Dependencies of build scripts are left out, because
    Bazel has rules in their place, and so are those of optional features, which Bazel does not build.
    """
    text = output("cargo", "metadata", "--no-deps", "--locked", "--format-version=1")
    members = {}
    for package in json.loads(text)["packages"]:
        names = {None: set(), "dev": set(), "build": set()}
        for dependency in package["dependencies"]:
            if dependency["optional"]:
                continue
            own = dependency.get("path")
            name = str(pathlib.Path(own).relative_to(WORKSPACE)) if own else dependency["name"]
            names[dependency["kind"]].add(name)
        folder = pathlib.Path(package["manifest_path"]).parent.relative_to(WORKSPACE)
        members[str(folder)] = names[None], names["dev"]
    return members


def unknown_to_bazel(members: dict) -> list:
    """Returns a problem for each crate that only one of MODULE.bazel and Cargo.toml lists."""
    listed = set(re.findall(r'"//(.+):Cargo\.toml"', (WORKSPACE / "MODULE.bazel").read_text()))
    return [
        f"MODULE.bazel and Cargo.toml do not both list {folder}" for folder in sorted(listed ^ set(members))
    ]


def bazel_packages() -> dict:
    """Returns for each package the dependencies of its Rust targets and of its Rust tests."""
    query = 'kind("rust_(library|binary|proc_macro|static_library|test) rule", //...)'
    text = output("tools/bazel", "query", "--output=xml", "--noshow_progress", "--ui_event_filters=-info", query)
    packages = {}
    for rule in xml.etree.ElementTree.fromstring(text).iter("rule"):
        package = rule.get("name")[2:].split(":")[0]
        built, tested = packages.setdefault(package, (set(), set()))
        kind = tested if rule.get("class") == "rust_test" else built
        for attribute in rule.findall("list"):
            if attribute.get("name") in ("deps", "proc_macro_deps"):
                kind.update(crate(label.get("value")) for label in attribute.iter("label"))
    for package, (built, tested) in packages.items():
        built.discard(package)
        tested.discard(package)
    return packages


def crate(label: str) -> str:
    """Returns the name that Cargo's side has for a Bazel label."""
    match = re.search(r"(?:roma_crates//:|roma_crates__|//third_party/crates:)([A-Za-z0-9_-]+?)(?:-\d[^/]*)?(?://.*)?$", label)
    return match.group(1) if match else re.sub(r"^@*(_main)?//", "", label).split(":")[0]


def differences(folder: str, verb: str, cargo: set, bazel: set) -> list:
    only_cargo = [f"{folder} {verb} {name} in Cargo only" for name in sorted(cargo - bazel)]
    return only_cargo + [f"{folder} {verb} {name} in Bazel only" for name in sorted(bazel - cargo)]


def output(*command: str) -> str:
    done = subprocess.run(command, cwd=WORKSPACE, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"`{' '.join(command)}` failed:\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
