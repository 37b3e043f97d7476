"""Packages from the machine's own Debian mirror: found, fetched and checked by apt, never installed.

apt keeps its state in the cache, so the system's package lists and packages do not change, and root is not
needed. apt verifies Debian's signatures.
"""

import dataclasses
import hashlib
import os
import pathlib
import re
import subprocess
import urllib.parse
from typing import Dict, Iterable, List

import host
from report import Problem
from run import logged, output, tail

_KEYRING = pathlib.Path("/usr/share/keyrings/debian-archive-keyring.gpg")


@dataclasses.dataclass(frozen=True)
class Package:
    """One package file, as Debian's signed lists describe it."""

    name: str
    version: str
    file_name: str
    sha256: str


class Debian:
    """A private apt over some suites of the mirror that the machine's own apt uses."""

    def __init__(self, folder: pathlib.Path, suites: Iterable[str], assumed: Iterable[str] = ()):
        self._folder = folder
        self._suites = list(suites)
        for part in ("lists/partial", "cache/archives/partial", "etc"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        sources = "".join(f"deb [signed-by={_KEYRING}] {_mirror()} {suite} main\n" for suite in self._suites)
        (folder / "etc/sources.list").write_text(sources)
        (folder / "status").write_text("".join(_pretend_installed(name) for name in assumed))

    def update(self) -> None:
        """Fetches the suites' package lists."""
        done = self._apt("apt-get", "update", "--error-on=any")
        if done.returncode != 0:
            raise Problem(
                f"apt could not fetch the package lists of {', '.join(self._suites)}:\n{tail(done.stderr)}\n"
                "Check that `apt-get update` works on this machine."
            )

    def first(self, names: Iterable[str], suite: str) -> str:
        """Returns the first of these packages that the suite has."""
        names = list(names)
        rows = self._apt("apt-cache", "madison", *names).stdout.splitlines()
        there = {row.split("|")[0].strip() for row in rows if f" {suite}/main " in row}
        for name in names:
            if name in there:
                return name
        raise Problem(f"Debian's {suite} has none of {', '.join(names)}")

    def exactly(self, names: Dict[str, str], suite: str) -> List[Package]:
        """Returns these packages without their dependencies. `a|b` means the one that the suite has."""
        chosen = {self.first(name.split("|"), suite): version for name, version in names.items()}
        return _checked(self._packages("download", chosen, suite), chosen, suite)

    def closure(self, names: Dict[str, str], suite: str) -> List[Package]:
        """Returns these packages and their dependencies, except those that are assumed to be installed."""
        found = self._packages("install", names, suite, "--no-install-recommends")
        return _checked(found, names, suite)

    def fetch(self, packages: List[Package], folder: pathlib.Path) -> None:
        """Fetches the packages into a folder, except those that are already there and intact."""
        folder.mkdir(parents=True, exist_ok=True)
        wanted = [package for package in packages if not _intact(package, folder)]
        if not wanted:
            return
        names = [f"{package.name}={package.version}" for package in wanted]
        done = self._apt("apt-get", "download", *names, cwd=folder)
        broken = [package.file_name for package in wanted if not _intact(package, folder)]
        if done.returncode != 0 or broken:
            raise Problem(
                f"could not fetch {', '.join(broken[:5]) or 'all packages'}:\n{tail(done.stderr)}\n"
                "Run the same command again: fetched packages are kept."
            )

    def fetch_files(self, place: str, files: Dict[str, str], folder: pathlib.Path) -> None:
        """Fetches files of the mirror, by their SHA-256, except those that are already there and intact."""
        for name, sha256 in files.items():
            package = Package(name, "", name, sha256)
            if _intact(package, folder):
                continue
            address = f"{_mirror()}{place}/{urllib.parse.quote(name)}"
            done = self._apt("/usr/lib/apt/apt-helper", "download-file", address, str(folder / name), f"SHA256:{sha256}")
            if done.returncode != 0 or not _intact(package, folder):
                raise Problem(
                    f"could not fetch {name}:\n{tail(done.stderr)}\n"
                    "If the mirror no longer has it, Debian has a newer one: see third_party/runsc/README.md."
                )

    def _packages(self, verb: str, names: Dict[str, str], suite: str, *options: str) -> List[Package]:
        done = self._apt("apt-get", verb, "-y", "--print-uris", *options, *(f"{name}/{suite}" for name in names))
        if done.returncode != 0:
            raise Problem(
                f"Debian's {suite} cannot supply {', '.join(names)}:\n{tail(done.stderr)}\n"
                "tools/bootstrap/packages.py lists names and suites."
            )
        rows = re.findall(r"^'(?:[^']+)' (\S+\.deb) \d+ SHA256:([0-9a-f]{64})", done.stdout, re.M)
        return [_package(file_name, sha256) for file_name, sha256 in rows]

    def _apt(self, program: str, *words: str, cwd=None) -> subprocess.CompletedProcess:
        options = {
            "Dir::State": self._folder,
            "Dir::State::lists": self._folder / "lists",
            "Dir::State::status": self._folder / "status",
            "Dir::Cache": self._folder / "cache",
            # Container images disable apt's own caches, which costs seconds at each call.
            "Dir::Cache::pkgcache": "pkgcache.bin",
            "Dir::Cache::srcpkgcache": "srcpkgcache.bin",
            "Dir::Etc": self._folder / "etc",
            "Dir::Etc::sourcelist": self._folder / "etc/sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "Debug::NoLocking": "true",
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled": "false",
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
            "Acquire::ForceHash": "SHA256",
            "Acquire::Retries": "3",
        }
        flags = [f"-o{name}={value}" for name, value in options.items()]
        return subprocess.run(
            [program, *flags, *words],
            cwd=cwd,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )


def unpack(files: Iterable[pathlib.Path], folder: pathlib.Path) -> None:
    """Unpacks package files into a folder that serves as `/`, without documentation."""
    for part in ("bin", "sbin", "lib", "lib64"):
        (folder / "usr" / part).mkdir(parents=True, exist_ok=True)
        if not (folder / part).is_symlink():
            (folder / part).symlink_to(f"usr/{part}")
    leave_out = [f"--exclude=./usr/share/{part}/*" for part in ("doc", "man", "locale", "bash-completion", "lintian")]
    for file in files:
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(file)], stdout=subprocess.PIPE) as archive:
            tar = ["tar", "-x", "-C", str(folder), "--no-same-owner", "--keep-directory-symlink", *leave_out]
            done = subprocess.run(tar, stdin=archive.stdout, capture_output=True, text=True)
        if done.returncode != 0 or archive.returncode != 0:
            raise Problem(f"could not unpack {file.name}: {tail(done.stderr)}")


def _mirror() -> str:
    """Returns the Debian mirror of this machine's apt, other than the one for security updates."""
    if not _KEYRING.exists():
        raise Problem("Debian's keys are missing: as root, `apt-get install -y debian-archive-keyring`")
    codename = host.debian_codename()
    rows = output(["apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)"]).splitlines()
    for release, _, uri in (row.partition(" ") for row in rows):
        if release in (codename, "stable", "oldstable", "testing") and "security" not in uri:
            return uri
    raise Problem(f"this machine's apt has no mirror for Debian {codename}: see `apt-get indextargets`")


def _pretend_installed(name: str) -> str:
    return (
        f"Package: {name}\nStatus: install ok installed\nArchitecture: {host.arch().debian}\n"
        "Multi-Arch: foreign\nVersion: 99:99\nMaintainer: none\nDescription: assumed\n\n"
    )


def _package(file_name: str, sha256: str) -> Package:
    name, version, _ = urllib.parse.unquote(file_name).split("_")
    return Package(name, version, file_name, sha256)


def _intact(package: Package, folder: pathlib.Path) -> bool:
    file = folder / package.file_name
    return file.exists() and hashlib.sha256(file.read_bytes()).hexdigest() == package.sha256


def _checked(found: List[Package], needed: Dict[str, str], suite: str) -> List[Package]:
    """Returns the packages if those with a required upstream version have it."""
    versions = {package.name: package.version for package in found}
    for name, version in needed.items():
        upstream = re.sub(r"^\d+:", "", versions.get(name, ""))
        if not re.match(re.escape(version) + r"(?![0-9])", upstream) and version:
            raise Problem(
                f"Debian's {suite} now has {name} {upstream or '(none)'}, and this workspace was made for {version}.\n"
                "Either update the workspace (docs/building.md, \"Bumping versions\"), or use bazelisk on a machine "
                "that reaches the Bazel Central Registry."
            )
    return found
