"""The compilers: Debian packages, unpacked into a folder and run from there with the libraries in it."""

import dataclasses
import os
import pathlib
import platform
import subprocess
from typing import Iterable, List


@dataclasses.dataclass(frozen=True)
class Arch:
    """A processor architecture: its names in Debian and in GNU triples, its loader, and the assembler's options."""

    debian: str
    gnu: str
    loader: str
    assembler: tuple


_ARCHES = {
    "x86_64": Arch("amd64", "x86_64-linux-gnu", "ld-linux-x86-64.so.2", ("--64",)),
    "aarch64": Arch("arm64", "aarch64-linux-gnu", "ld-linux-aarch64.so.1", ()),
}


class Tools:
    """The programs of an unpacked root."""

    def __init__(self, root: pathlib.Path):
        self.root = root
        self.arch = _ARCHES[platform.machine()]
        (self.go_root,) = (root / "usr/lib").glob("go-*")
        self._libraries = root / "usr/lib" / self.arch.gnu
        (self._gcc,) = (root / "usr/libexec/gcc" / self.arch.gnu).iterdir()

    def preprocess_and_compile(self, language: str, source: pathlib.Path, output: pathlib.Path, flags: Iterable[str]) -> None:
        """Compiles C or C++ to an object file, or assembles a source with macros."""
        program = self._gcc / ("cc1plus" if language == "c++" else "cc1")
        search = [f"-isystem{folder}" for folder in self._headers()]
        # What the driver `gcc` passes by itself.
        fixed = ["-quiet", "-nostdinc", *search]
        if language == "c++":
            fixed += ["-nostdinc++", "-D_GNU_SOURCE"]
        assembly = output.with_suffix(".s")
        flags = [flag for flag in flags if not (language == "assembler" and flag.startswith("-O"))]
        mode = ["-E", "-lang-asm"] if language == "assembler" else []
        self._run(program, *fixed, *mode, *flags, source, "-o", assembly)
        self.run("as", *self.arch.assembler, "--noexecstack", "-o", output, assembly)

    def run(self, name: str, *arguments) -> None:
        """Runs a program of binutils."""
        self._run(self._binutils(name), *arguments)

    def write_program(self, name: str, folder: pathlib.Path) -> None:
        """Writes a program that runs this one of binutils, for scripts that look for it on PATH."""
        file = folder / name
        command = " ".join(map(str, self._command(self._binutils(name))))
        file.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        file.chmod(0o755)

    def _binutils(self, name: str) -> pathlib.Path:
        return self.root / "usr/bin" / f"{self.arch.gnu}-{name}"

    def _headers(self) -> List[pathlib.Path]:
        (gcc,) = (self.root / "usr/lib/gcc" / self.arch.gnu).iterdir()
        return [gcc / "include", self.root / "usr/include" / self.arch.gnu, self.root / "usr/include"]

    def _command(self, program: pathlib.Path) -> list:
        # The program's own loader and libraries, whatever the machine has.
        loader = self._libraries / self.arch.loader
        return [loader, "--library-path", self._libraries, program]

    def _run(self, program: pathlib.Path, *arguments) -> None:
        command = [str(word) for word in (*self._command(program), *arguments)]
        env = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "SOURCE_DATE_EPOCH": "0"}
        if subprocess.run(command, env=env, stdin=subprocess.DEVNULL).returncode != 0:
            raise SystemExit(f"{program.name} failed: {' '.join(command)}")


def unpack(packages: Iterable[pathlib.Path], root: pathlib.Path) -> Tools:
    """Unpacks Debian packages into a folder that serves as `/`."""
    leave_out = [f"--exclude=./usr/share/{part}" for part in ("doc", "man", "locale", "lintian")]
    root.mkdir(parents=True)
    for package in packages:
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as archive:
            tar = ["tar", "-x", "-C", root, "--no-same-owner", "--keep-directory-symlink", *leave_out]
            subprocess.run(tar, stdin=archive.stdout, check=True)
        if archive.returncode != 0:
            raise SystemExit(f"could not unpack {package}")
    return Tools(root)
