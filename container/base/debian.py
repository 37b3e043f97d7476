#!/usr/bin/env python3
"""Makes layers from Debian's package files: a small root, or only the libraries that programs link.

The output depends only on the packages, not on the clock or the machine.
"""

import argparse
import hashlib
import io
import json
import lzma
import os
import posixpath
import stat
import sys
import tarfile
import urllib.parse
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

# The files of a package that programs in an image need, and the texts that licences require.
KEPT = (
    "etc/debian_version",
    "etc/os-release",
    "lib/",
    "lib64/",
    "usr/bin/busybox",
    "usr/lib/",
    "usr/share/common-licenses/",
)
# The libraries of C and C++ that dynamic programs link.
LIBRARIES = ("ld-linux", "libc.so.", "libdl.so.", "libgcc_s.so.", "libm.so.", "libmvec.so.", "libpthread.so.", "librt.so.",
             "libstdc++.so.", "libutil.so.")
LEFT_OUT = ("usr/lib/mime/", "/gconv/")
MERGED = ("bin", "lib", "lib64", "sbin")

PASSWD = """\
root:x:0:0:root:/root:/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin
nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin
"""
GROUP = """\
root:x:0:
nobody:x:65534:
tty:x:5:
staff:x:50:
nonroot:x:65532:
"""


class Package:
    """A package file."""

    def __init__(self, path: Path):
        data = path.read_bytes()
        self.sha256 = hashlib.sha256(data).hexdigest()
        members = dict(ar_members(data, path.name))
        self.control = read_member(tar_of(members, "control.tar", path.name), "./control")
        self.files = tar_of(members, "data.tar", path.name)
        self.fields = dict(
            line.split(": ", 1) for line in self.control.splitlines() if ": " in line and not line.startswith(" ")
        )

    @property
    def name(self) -> str:
        return self.fields["Package"]


def ar_members(data: bytes, name: str) -> Iterator[Tuple[str, bytes]]:
    """Yields the members of a package file, which is an `ar` archive."""
    if not data.startswith(b"!<arch>\n"):
        sys.exit(f"{name} is not a Debian package file")
    at = 8
    while at + 60 <= len(data):
        header = data[at : at + 60].decode("ascii")
        size = int(header[48:58])
        yield header[:16].strip().rstrip("/"), data[at + 60 : at + 60 + size]
        at += 60 + size + size % 2


def tar_of(members: Dict[str, bytes], stem: str, name: str) -> tarfile.TarFile:
    for member, data in members.items():
        if member == stem:
            return tarfile.open(fileobj=io.BytesIO(data))
        if member == stem + ".xz":
            return tarfile.open(fileobj=io.BytesIO(lzma.decompress(data)))
        if member == stem + ".gz":
            return tarfile.open(fileobj=io.BytesIO(data), mode="r:gz")
    sys.exit(f"{name} has no {stem} in a supported format, only {', '.join(members)}")


def read_member(archive: tarfile.TarFile, name: str) -> str:
    with archive.extractfile(name) as file:
        return file.read().decode()


class Layer:
    """A tar file under construction. The last entry with a name wins."""

    def __init__(self):
        self._entries: Dict[str, Tuple[tarfile.TarInfo, bytes]] = {}

    def add(self, path: str, kind: bytes, mode: int, data: bytes = b"", link: str = "", owner: int = 0) -> None:
        info = tarfile.TarInfo(path)
        info.type, info.mode, info.size, info.linkname = kind, mode, len(data), link
        info.uid = info.gid = owner
        self._entries[path] = (info, data)

    def folder(self, path: str, mode: int = 0o755, owner: int = 0) -> None:
        self.add(path, tarfile.DIRTYPE, mode, owner=owner)

    def file(self, path: str, text: str) -> None:
        self.parents(path)
        self.add(path, tarfile.REGTYPE, 0o644, text.encode())

    def link(self, path: str, target: str) -> None:
        self.parents(path)
        self.add(path, tarfile.SYMTYPE, 0o777, link=target)

    def parents(self, path: str) -> None:
        parent = posixpath.dirname(path)
        if parent and parent not in self._entries:
            self.parents(parent)
            self.folder(parent)

    def unpacked(self, path: str, member: tarfile.TarInfo, archive: tarfile.TarFile) -> None:
        """Adds a file of a package at `path`."""
        self.parents(path)
        if member.issym():
            self.add(path, tarfile.SYMTYPE, 0o777, link=member.linkname)
        else:
            # For a hard link, this is the content of its target.
            with archive.extractfile(member) as file:
                self.add(path, tarfile.REGTYPE, stat.S_IMODE(member.mode), file.read())

    def write(self, output: Path) -> None:
        with tarfile.open(output, "w", format=tarfile.GNU_FORMAT) as archive:
            for _, (info, data) in sorted(self._entries.items()):
                archive.addfile(info, io.BytesIO(data))


def merged(name: str) -> str:
    """Returns the path for a file of a package, because `/lib` and similar folders are links into `/usr`."""
    path = posixpath.normpath(name).lstrip("/")
    first = path.split("/")[0]
    return f"usr/{path}" if first in MERGED else path


def root(packages: List[Package]) -> Layer:
    layer = Layer()
    layer.folder("usr")
    for name in MERGED:
        layer.folder(f"usr/{name}")
        layer.link(name, f"usr/{name}")
    for package in packages:
        for member in package.files:
            if keeps(posixpath.normpath(member.name)) and not member.isdir():
                layer.unpacked(merged(member.name), member, package.files)
        # Scanners of images read this folder.
        layer.file(f"var/lib/dpkg/status.d/{package.name}", package.control)
    layer.file("etc/passwd", PASSWD)
    layer.file("etc/group", GROUP)
    layer.file("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")
    for name in ("dev", "proc", "run", "sys", "var"):
        layer.folder(name)
    layer.folder("tmp", 0o1777)
    layer.folder("root", 0o700)
    layer.folder("home")
    layer.folder("home/nonroot", 0o700, owner=65532)
    if any(package.name == "busybox-static" for package in packages):
        layer.link("usr/bin/sh", "busybox")
    return layer


def keeps(path: str) -> bool:
    if any(part in path for part in LEFT_OUT):
        return False
    # bookworm's busybox is in /bin.
    return path.startswith(KEPT) or path == "bin/busybox" or is_licence(path)


def is_licence(path: str) -> bool:
    # Three slashes: a package may share the folder of another. Then this is a link to it.
    return path.startswith("usr/share/doc/") and (path.endswith("/copyright") or path.count("/") == 3)


def libraries(packages: List[Package], folder: str) -> Layer:
    """Returns the dynamic linker and the libraries in `folder`, at the paths that they have in `/`."""
    layer = Layer()
    for name in ("lib", "lib64"):
        layer.parents(f"{folder}/{name}/")
    for package in packages:
        for member in package.files:
            if member.isdir():
                continue
            path = posixpath.normpath(member.name)
            path = path[len("usr/") :] if path.startswith("usr/lib") else path
            parts = path.split("/")
            if parts[0] in ("lib", "lib64") and len(parts) in (2, 3) and parts[-1].startswith(LIBRARIES):
                layer.unpacked(f"{folder}/{path}", member, package.files)
            elif is_licence(path):
                layer.unpacked(path, member, package.files)
    return layer


def bill(packages: List[Package]) -> Dict:
    """Returns the list of the packages in SPDX 2.3."""
    contents = hashlib.sha256("".join(package.sha256 for package in packages).encode()).hexdigest()
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": "roma-base",
        "documentNamespace": f"urn:roma:base:{contents}",
        "creationInfo": {"created": "1970-01-01T00:00:00Z", "creators": ["Tool: roma"]},
        "packages": [described(package) for package in packages],
        "relationships": [
            {
                "spdxElementId": "SPDXRef-DOCUMENT",
                "relationshipType": "DESCRIBES",
                "relatedSpdxElement": identifier(package),
            }
            for package in packages
        ],
    }


def described(package: Package) -> Dict:
    fields = package.fields
    name, version = (urllib.parse.quote(text, safe="") for text in (package.name, fields["Version"]))
    locator = f"pkg:deb/debian/{name}@{version}?arch={fields['Architecture']}"
    return {
        "SPDXID": identifier(package),
        "name": package.name,
        "versionInfo": fields["Version"],
        "supplier": f"Person: {fields['Maintainer']}",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "comment": f"its licence is /usr/share/doc/{package.name}/copyright in the image",
        "checksums": [{"algorithm": "SHA256", "checksumValue": package.sha256}],
        "externalRefs": [
            {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": locator}
        ],
    }


def identifier(package: Package) -> str:
    return "SPDXRef-" + "".join(c if c.isalnum() or c in ".-" else "-" for c in package.name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["root", "libraries", "sbom"])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--folder", help="the folder of the libraries")
    parser.add_argument("packages", nargs="+", type=Path)
    arguments = parser.parse_args()
    packages = sorted(map(Package, arguments.packages), key=lambda package: package.name)
    if arguments.what == "sbom":
        arguments.output.write_text(json.dumps(bill(packages), indent=2) + os.linesep)
    else:
        layer = root(packages) if arguments.what == "root" else libraries(packages, arguments.folder)
        layer.write(arguments.output)


if __name__ == "__main__":
    main()
