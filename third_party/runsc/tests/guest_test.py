#!/usr/bin/env python3
"""Runs `seccomp_guest` in gVisor, on each platform, and once through saving and restoring the sandbox.

The arguments are runsc and the program.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

_PLATFORMS = ("systrap", "ptrace")
_RESTORED = 7


class Container:
    """An OCI bundle with the program, and the folder where runsc keeps its state."""

    def __init__(self, runsc: str, program: str, platform: str, task: str):
        self._folder = pathlib.Path(tempfile.mkdtemp(dir=os.environ.get("TEST_TMPDIR")))
        self._command = [runsc, f"--root={self._folder / 'state'}", "--network=none", "--ignore-cgroups", f"--platform={platform}"]
        if os.geteuid() != 0 or not _may_administer():
            self._command.append("--rootless")
        rootfs = self._folder / "rootfs"
        (rootfs / "proc").mkdir(parents=True)
        shutil.copy(program, rootfs / "program")
        config = {
            "ociVersion": "1.0.0",
            "process": {"user": {"uid": 0, "gid": 0}, "args": ["/program", task], "cwd": "/", "env": [], "noNewPrivileges": True},
            "root": {"path": "rootfs", "readonly": True},
            "linux": {"namespaces": [{"type": kind} for kind in ("pid", "mount", "ipc", "network")]},
        }
        (self._folder / "config.json").write_text(json.dumps(config))
        self.image = self._folder / "image"

    def start(self, verb: str, name: str, *options: str) -> subprocess.Popen:
        """Starts `runsc run` or `runsc restore`, which end with the program."""
        return subprocess.Popen([*self._command, verb, *options, f"--bundle={self._folder}", name])

    def call(self, *words: str) -> None:
        """Runs another command of runsc."""
        subprocess.run([*self._command, *words], check=True)


def _may_administer() -> bool:
    status = pathlib.Path("/proc/self/status").read_text()
    (effective,) = (int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(effective >> 21 & 1)


def _filters(runsc: str, program: str, platform: str) -> bool:
    return Container(runsc, program, platform, "filters").start("run", "filters").wait(timeout=120) == 0


def _saved_and_restored(runsc: str, program: str, platform: str) -> bool:
    container = Container(runsc, program, platform, "lasting")
    running = container.start("run", "saved")
    time.sleep(1.5)
    container.call("checkpoint", f"--image-path={container.image}", "saved")
    running.wait(timeout=60)
    restored = container.start("restore", "restored", f"--image-path={container.image}")
    return restored.wait(timeout=60) == _RESTORED


def main() -> int:
    """Runs all checks. Prints the counts."""
    runsc, program = (os.path.realpath(word) for word in sys.argv[1:3])
    failed = 0
    checks = [(check, platform) for platform in _PLATFORMS for check in (_filters, _saved_and_restored)]
    for check, platform in checks:
        passed = check(runsc, program, platform)
        print(f"{'ok' if passed else 'FAILED'}: {check.__name__.strip('_')} on {platform}", flush=True)
        failed += not passed
    print(f"{len(checks) - failed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
