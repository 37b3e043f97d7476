#!/usr/bin/env python3
"""Runs programs in gVisor that check what our patches change, on each platform.

The arguments are runsc, `seccomp_guest`, `crash_guest`, `stub_memory_guest` and `code_guest`.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

_PLATFORMS = ("systrap", "ptrace")
# What `seccomp_guest lasting` ends with.
_LASTED = 7


class Container:
    """An OCI bundle with a program, and the folder where runsc keeps its state."""

    def __init__(self, runsc: str, platform: str, program: str, task: str):
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=os.environ.get("TEST_TMPDIR")))
        self._command = [runsc, f"--root={self.folder / 'state'}", "--network=none", "--ignore-cgroups", f"--platform={platform}"]
        if os.geteuid() != 0 or not _may_administer():
            self._command.append("--rootless")
        rootfs = self.folder / "rootfs"
        for name in ("proc", "tmp", "library"):
            (rootfs / name).mkdir(parents=True)
        (self.folder / "library").mkdir()
        shutil.copy(program, rootfs / "program")
        library = {"destination": "/library", "type": "bind", "source": str(self.folder / "library")}
        config = {
            "ociVersion": "1.0.0",
            "process": {"user": {"uid": 0, "gid": 0}, "args": ["/program", task], "cwd": "/", "env": [], "noNewPrivileges": True},
            "root": {"path": "rootfs", "readonly": True},
            "mounts": [{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"}, {**library, "options": ["rbind", "ro", "nodev"]}],
            "linux": {"namespaces": [{"type": kind} for kind in ("pid", "mount", "ipc", "network")]},
        }
        (self.folder / "config.json").write_text(json.dumps(config))

    def start(self, verb: str, name: str, *options: str) -> subprocess.Popen:
        """Starts `runsc run` or `runsc restore`, which end with the program."""
        return subprocess.Popen([*self._command, verb, *options, f"--bundle={self.folder}", name])

    def call(self, *words: str) -> None:
        """Runs another command of runsc."""
        subprocess.run([*self._command, *words], check=True)

    def result(self, running: subprocess.Popen) -> object:
        """Returns the program's exit status. A sandbox that hangs is killed."""
        try:
            return running.wait(timeout=120)
        except subprocess.TimeoutExpired:
            for state in (self.folder / "state").glob("*.state"):
                os.kill(json.loads(state.read_text())["sandbox"]["pid"], signal.SIGKILL)
            running.kill()
            running.wait()
            return "it hung"


def _may_administer() -> bool:
    status = pathlib.Path("/proc/self/status").read_text()
    (effective,) = (int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(effective >> 21 & 1)


def _run(*container: str) -> object:
    sandbox = Container(*container)
    return sandbox.result(sandbox.start("run", "guest"))


def _saved_and_restored(*container: str) -> object:
    sandbox = Container(*container)
    image = sandbox.folder / "image"
    running = sandbox.start("run", "saved")
    time.sleep(1.5)
    sandbox.call("checkpoint", f"--image-path={image}", "saved")
    sandbox.result(running)
    return sandbox.result(sandbox.start("restore", "restored", f"--image-path={image}"))


def _with_device(*container: str) -> object:
    sandbox = Container(*container)
    # Only root can make one. Others' library folders cannot have one of their own.
    if os.geteuid() == 0 and _may_administer():
        os.mknod(sandbox.folder / "library/zero", 0o020666, os.makedev(1, 5))
    return sandbox.result(sandbox.start("run", "guest"))


def main() -> int:
    """Runs all checks. Prints the counts."""
    runsc, seccomp, crash, stub_memory, code = (os.path.realpath(word) for word in sys.argv[1:6])
    checks = [
        (_run, seccomp, "filters", 0),
        (_saved_and_restored, seccomp, "lasting", _LASTED),
        (_run, crash, "tmpfs", 0),
        (_run, crash, "setsid", 0),
        (_with_device, crash, "device", 0),
        (_run, stub_memory, "rounds", 0),
        (_run, code, "code", 0),
    ]
    failed = 0
    for platform in _PLATFORMS:
        for check, program, task, wanted in checks:
            got = check(runsc, platform, program, task)
            print(f"{'ok' if got == wanted else 'FAILED'}: {task} on {platform}: {got}", flush=True)
            failed += got != wanted
    print(f"{len(checks) * len(_PLATFORMS) - failed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
