"""Makes programs of unpacked packages run from their folder, with the libraries in it."""

import os
import pathlib
import re
import struct
import zipfile
from typing import Iterator

import host
from report import Problem
from run import output


def relocate_bazel(root: pathlib.Path, patchelf: pathlib.Path) -> None:
    """Makes Bazel and its Java use `root` instead of `/`."""
    arch = host.arch()
    libraries = root / "usr/lib" / arch.gnu
    _point_links_inside(root)
    _rewrite_class_path(root)
    home = java(root)
    search = f"{libraries}:{home}/lib:{home}/lib/server"
    programs = [root / "usr/bin/bazel", home / "lib/jspawnhelper"]
    programs += sorted((root / "usr/libexec" / arch.gnu / "bazel").iterdir()) + sorted((home / "bin").iterdir())
    for program in programs:
        if not program.is_symlink() and _is_dynamic(program):
            output([patchelf, "--set-interpreter", libraries / arch.loader, program])
            output([patchelf, "--force-rpath", "--set-rpath", search, program])
    for library in sorted(home.glob("lib/**/*.so")):
        output([patchelf, "--force-rpath", "--set-rpath", f"$ORIGIN:$ORIGIN/..:$ORIGIN/server:{libraries}", library])


def relocate_program(program: pathlib.Path, libraries: pathlib.Path, patchelf: pathlib.Path) -> None:
    """Makes a program of the machine's own suite find its unpacked libraries."""
    output([patchelf, "--force-rpath", "--set-rpath", libraries, program])


def java(root: pathlib.Path) -> pathlib.Path:
    """Returns the folder of the unpacked Java."""
    found = [home for home in (root / "usr/lib/jvm").glob("java-*-openjdk-*") if not home.is_symlink()]
    if len(found) != 1:
        raise Problem(f"expected one Java in {root}, found {found}")
    return found[0]


def _point_links_inside(root: pathlib.Path) -> None:
    """Redirects absolute links of packages to `root`."""
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            link = os.path.join(folder, name)
            if os.path.islink(link) and os.readlink(link).startswith("/"):
                inside = f"{root}{os.readlink(link)}"
                if os.path.exists(inside):
                    os.remove(link)
                    os.symlink(inside, link)


def _rewrite_class_path(root: pathlib.Path) -> None:
    """Lists every jar that the server needs, by its path in the root.

    Debian's list has only the direct ones. Each jar's manifest names others by absolute paths, which do not
    exist on this machine. The server hangs at start if one is missing.
    """
    listing = root / "usr/share/bazel/bazel_classpath_debian_depends.txt"
    server = root / "usr/share/bazel/A-server.jar"
    todo = [server] + [pathlib.Path(f"{root}{line}") for line in listing.read_text().split()]
    seen, jars = set(), []
    while todo:
        jar = todo.pop(0)
        real = pathlib.Path(os.path.realpath(jar))
        if real in seen or not jar.exists():
            continue
        seen.add(real)
        if jar != server:
            jars.append(os.path.normpath(jar))
        todo.extend(_named_in_manifest(jar, root))
    listing.write_text("\n".join(jars) + "\n")


def _named_in_manifest(jar: pathlib.Path, root: pathlib.Path) -> Iterator[pathlib.Path]:
    with zipfile.ZipFile(jar) as archive:
        if "META-INF/MANIFEST.MF" not in archive.namelist():
            return
        manifest = archive.read("META-INF/MANIFEST.MF").decode("utf-8", "replace")
    # A continuation line begins with a blank.
    manifest = manifest.replace("\r\n", "\n").replace("\n ", "")
    for line in re.findall(r"^Class-Path:(.*)$", manifest, re.M):
        for entry in line.split():
            path = re.sub("^file:(//)?", "", entry)
            yield pathlib.Path(f"{root}{path}") if path.startswith("/") else jar.parent / path


def _is_dynamic(file: pathlib.Path) -> bool:
    """Returns whether a file is an ELF program with an interpreter."""
    with file.open("rb") as program:
        head = program.read(64)
        if head[:5] != b"\x7fELF\x02":
            return False
        (table,) = struct.unpack_from("<Q", head, 32)
        size, count = struct.unpack_from("<HH", head, 54)
        program.seek(table)
        entries = program.read(size * count)
    interpreter = 3
    return any(struct.unpack_from("<I", entries, n * size)[0] == interpreter for n in range(count))
