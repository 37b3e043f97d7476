"""Go: builds runsc, and runs unit tests, without modules and without a network."""

import os
import pathlib
import subprocess
from typing import List

from toolchain import Tools

_IMPORT = "gvisor.dev/gvisor"


class Go:
    """The Go of an unpacked root, with the libraries in it."""

    def __init__(self, tools: Tools, work: pathlib.Path):
        self._program = tools.go_root / "bin/go"
        gopath = f"{work / 'gopath'}:{tools.root / 'usr/share/gocode'}"
        self._env = {
            "PATH": os.defpath,
            "HOME": str(work),
            "TMPDIR": str(work),
            "GOROOT": str(tools.go_root),
            "GOPATH": gopath,
            "GOCACHE": str(work / "gocache"),
            "GO111MODULE": "off",
            "GOFLAGS": "",
            "GOPROXY": "off",
            "GOTELEMETRY": "off",
            "GOTOOLCHAIN": "local",
            # runsc must be static.
            "CGO_ENABLED": "0",
        }

    def build(self, tree: pathlib.Path, version: str, output: pathlib.Path) -> None:
        """Builds runsc. The same inputs give the same file, wherever they are."""
        flags = f"-s -w -buildid= -X '{_IMPORT}/runsc/version.version={version}'"
        command = ["build", "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", str(output), f"{_IMPORT}/runsc"]
        if self._run(tree, command) != 0:
            raise SystemExit("runsc could not be built")

    def test(self, tree: pathlib.Path, packages: List[str]) -> int:
        """Runs the unit tests of these packages. Returns Go's exit status."""
        return self._run(tree, ["test", "-vet=off", "-count=1", *(f"{_IMPORT}/{package}" for package in packages)])

    def _run(self, tree: pathlib.Path, command: List[str]) -> int:
        return subprocess.run([self._program, *command], cwd=tree, env=self._env, stdin=subprocess.DEVNULL).returncode
