"""Properties of this machine, and the tools on it."""

import dataclasses
import os
import pathlib
import platform
import pwd
import re
import shutil
import subprocess
from typing import Iterator, List

from packages import TOOLS
from report import Problem, say
from run import output

# The oldest rustc that this workspace builds with: Cargo.toml's rust-version.
OLDEST_RUST = (1, 88)


@dataclasses.dataclass(frozen=True)
class Arch:
    """A processor architecture: its names in Debian and in GNU triples, and its dynamic loader."""

    debian: str
    gnu: str
    loader: str


_ARCHES = {
    "x86_64": Arch("amd64", "x86_64-linux-gnu", "ld-linux-x86-64.so.2"),
    "aarch64": Arch("arm64", "aarch64-linux-gnu", "ld-linux-aarch64.so.1"),
}


def arch() -> Arch:
    """Returns the machine's architecture."""
    try:
        return _ARCHES[platform.machine()]
    except KeyError:
        raise Problem(f"this workspace builds on {' and '.join(_ARCHES)}, not on {platform.machine()}") from None


def debian_codename() -> str:
    """Returns the Debian release of this machine."""
    text = pathlib.Path("/etc/os-release").read_text() if os.path.exists("/etc/os-release") else ""
    fields = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', text, re.M))
    if fields.get("ID") == "debian" and fields.get("VERSION_CODENAME"):
        return fields["VERSION_CODENAME"]
    raise Problem(
        f"this machine runs {fields.get('PRETTY_NAME', 'an unknown system')}; Bazel can be prepared from "
        "Debian's packages on Debian only.\nInstall bazelisk if this machine reaches the Bazel Central Registry, and "
        "run the same command again."
    )


def need_tools() -> None:
    """Checks that the required programs are installed. Installs them as root; fails otherwise."""
    missing = sorted({package for tool, package in TOOLS.items() if not shutil.which(tool)})
    if not missing:
        return
    command = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Problem(f"this machine lacks {', '.join(missing)}. As root, run:\n\n    {' '.join(command)}\n")
    say(f"installing {', '.join(missing)}")
    output(["apt-get", "update"])
    output(command, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})


@dataclasses.dataclass(frozen=True)
class Rust:
    """A Rust toolchain: its root folder, its version and the triple that it runs on."""

    sysroot: pathlib.Path
    version: str
    triple: str


def rust() -> Rust:
    """Returns the machine's own Rust, even if HOME is not the one of rustup."""
    tried = []
    for rustc, env in _rustcs():
        done = subprocess.run(
            [rustc, "--print", "sysroot"], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        if done.returncode != 0:
            tried.append(f"{rustc}: {(done.stderr.strip() or 'failed').splitlines()[0]}")
            continue
        found = _rust_in(pathlib.Path(done.stdout.strip()))
        if tuple(int(n) for n in found.version.split(".")[:2]) < OLDEST_RUST:
            tried.append(f"{rustc}: its version is {found.version}")
        elif not (found.sysroot / "bin" / "cargo").exists():
            tried.append(f"{rustc}: {found.sysroot} has no cargo")
        else:
            return found
    oldest = ".".join(map(str, OLDEST_RUST))
    raise Problem(
        f"no usable Rust: this workspace needs rustc {oldest} or newer, with its cargo.\n"
        + "".join(f"    {line}\n" for line in tried or ["no rustc on PATH or in ~/.cargo/bin"])
        + "Install it with rustup (`rustup default stable`), or set the variable RUSTC."
    )


def _rustcs() -> Iterator:
    """Yields each rustc to try, with the environment to run it in."""
    homes = [pathlib.Path(os.environ.get("HOME", "/nonexistent")), pathlib.Path(pwd.getpwuid(os.getuid()).pw_dir)]
    places: List[str] = [os.environ.get("RUSTC", ""), shutil.which("rustc") or ""]
    places += [str(home / ".cargo/bin/rustc") for home in homes]
    for rustc in dict.fromkeys(place for place in places if place and os.path.exists(place)):
        yield rustc, None
        # rustup's rustc looks for toolchains in HOME. Name the ones that it was installed with.
        beside = pathlib.Path(rustc).parent.parent.parent / ".rustup"
        if "RUSTUP_HOME" not in os.environ and beside.is_dir():
            yield rustc, {**os.environ, "RUSTUP_HOME": str(beside)}


def _rust_in(sysroot: pathlib.Path) -> Rust:
    text = output([sysroot / "bin" / "rustc", "-vV"])
    fields = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
    return Rust(sysroot, fields["release"], fields["host"])
