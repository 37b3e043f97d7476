"""A Bazel registry on disk: Debian's rule packages and our stand-ins, with the names of the real modules."""

import json
import pathlib
import re
import shutil
from typing import Dict, Iterable, Set

import host

# The folders of modules in Debian's packages.
_MODULE_FOLDERS = ("usr/share/bazel/rules", "usr/share/bazel/tools")

# Bazel's own module, which depends on others.
_BAZEL_TOOLS = "usr/share/bazel/embedded_tools/MODULE.bazel"

# Versions that Bazel's built-in modules and other workspaces may request, in addition to those that the modules
# request of each other.
_ALSO_ASKED = {
    "bazel_skylib": ("1.7.1", "1.8.1", "1.9.0"),
    "googletest": ("1.14.0", "1.15.2", "1.17.0"),
    "platforms": ("0.0.7", "0.0.11", "1.0.0"),
    "protobuf": ("21.7",),
    "rules_cc": ("0.0.9", "0.0.10", "0.0.11"),
    "rules_oci": ("2.0.0", "2.0.1", "2.2.0"),
    "rules_pkg": ("0.9.1", "0.10.1"),
    "rules_proto": ("6.0.0", "6.0.2"),
    "rules_rust": ("0.54.1",),
    "rules_shell": ("0.4.0", "0.4.1"),
}

# The files of the unpacked system libraries that the stand-ins need.
_LINKS = {
    "googletest": {
        "include/gmock": "usr/include/gmock",
        "include/gtest": "usr/include/gtest",
        "lib/libgmock.a": "usr/lib/{gnu}/libgmock.a",
        "lib/libgtest.a": "usr/lib/{gnu}/libgtest.a",
        "lib/libgtest_main.a": "usr/lib/{gnu}/libgtest_main.a",
    },
    "protobuf": {
        "bin/protoc": "usr/bin/protoc",
        "include/google/protobuf": "usr/include/google/protobuf",
        "lib/libprotobuf-lite.a": "usr/lib/{gnu}/libprotobuf-lite.a",
        "lib/libprotobuf.a": "usr/lib/{gnu}/libprotobuf.a",
    },
    "zlib": {
        "include/zconf.h": "usr/include/zconf.h",
        "include/zlib.h": "usr/include/zlib.h",
        "lib/libz.a": "usr/lib/{gnu}/libz.a",
    },
}


def copy_stand_ins(source: pathlib.Path, target: pathlib.Path, libraries: pathlib.Path) -> None:
    """Copies our stand-in modules and links the system's libraries into them."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*_test.py"))
    for module, links in _LINKS.items():
        for place, file in links.items():
            link = target / module / place
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(libraries / file.format(gnu=host.arch().gnu))


def write_registry(folder: pathlib.Path, root: pathlib.Path, stand_ins: pathlib.Path, asking: Iterable[pathlib.Path]) -> None:
    """Writes a registry in which every requested version of a module is the one local copy."""
    shutil.rmtree(folder, ignore_errors=True)
    places = [file.parent for base in _MODULE_FOLDERS for file in (root / base).glob("*/MODULE.bazel")]
    places += [file.parent for file in stand_ins.glob("*/MODULE.bazel")]
    modules = {_name(place): place for place in sorted(places)}
    texts = [(place / "MODULE.bazel").read_text() for place in modules.values()]
    texts += [file.read_text() for file in (root / _BAZEL_TOOLS, *asking)]
    asked = _asked_versions(texts, modules)
    for name, place in modules.items():
        text = (place / "MODULE.bazel").read_text()
        for version in asked[name]:
            entry = folder / "modules" / name / version
            entry.mkdir(parents=True)
            (entry / "MODULE.bazel").write_text(_as_version(text, version))
            (entry / "source.json").write_text(json.dumps({"type": "local_path", "path": str(place)}))
    (folder / "bazel_registry.json").write_text(json.dumps({"module_base_path": "/"}))


def _name(place: pathlib.Path) -> str:
    return re.search(r'module\(\s*name = "([^"]+)"', (place / "MODULE.bazel").read_text()).group(1)


def _asked_versions(texts: Iterable[str], modules: Dict[str, pathlib.Path]) -> Dict[str, Set[str]]:
    asked = {name: set(_ALSO_ASKED.get(name, ())) for name in modules}
    for text in texts:
        for dependency in re.findall(r"bazel_dep\(([^)]*)\)", text):
            fields = dict(re.findall(r'(\w+) = "([^"]+)"', dependency))
            if fields["name"] in asked and "version" in fields:
                asked[fields["name"]].add(fields["version"])
    return asked


def _as_version(text: str, version: str) -> str:
    """Returns a module file with another version, and without local overrides."""
    head = re.search(r"module\(.*?\n?\)", text, re.S).group(0)
    name = re.search(r'name = "([^"]+)"', head).group(1)
    text = text.replace(head, f'module(name = "{name}", version = "{version}")', 1)
    return re.sub(r"local_path_override\((.*?)\n\)", "", text, flags=re.S)
