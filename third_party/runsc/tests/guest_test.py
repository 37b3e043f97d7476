#!/usr/bin/env python3
"""Runs programs in gVisor that check what our patches change, on each platform.

The arguments are runsc, `seccomp_guest`, `crash_guest`, `stub_memory_guest`, `code_guest` and `neighbours_guest`.
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
from typing import Callable, List

_PLATFORMS = ("systrap", "ptrace")
# What `seccomp_guest lasting` ends with.
_LASTED = 7
# The niceness of stub processes that stand back.
_LOWEST = 19
# How often to look again for what happens soon, and how many times.
_PAUSE, _TIMES = 0.1, 600


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

    def talk(self) -> subprocess.Popen:
        """Starts `runsc run` with pipes as the program's standard input and output."""
        command = [*self._command, "run", f"--bundle={self.folder}", "guest"]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

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


def _descendants(process: int) -> List[int]:
    found = []
    for thread in pathlib.Path(f"/proc/{process}/task").glob("*/children"):
        try:
            children = [int(word) for word in thread.read_text().split()]
        except OSError:
            continue
        for child in children:
            found += [child, *_descendants(child)]
    return found


def _niceness(process: int) -> int:
    try:
        return os.getpriority(os.PRIO_PROCESS, process)
    except ProcessLookupError:
        return 0


def _standing_back(running: subprocess.Popen) -> int:
    return sum(_niceness(process) == _LOWEST for process in _descendants(running.pid))


def _until(happened: Callable[[], bool]) -> bool:
    for _ in range(_TIMES):
        if happened():
            return True
        time.sleep(_PAUSE)
    return False


def _with_busy(wanted: Callable[[subprocess.Popen], bool], *container: str) -> object:
    sandbox = Container(*container)
    running = sandbox.talk()
    if running.stdout.readline() != b"busy\n":
        return "it is not busy"
    seen = wanted(running)
    running.stdin.close()
    return sandbox.result(running) if seen else "its processes have other priorities"


def _crowd_stands_back(*container: str) -> object:
    return _with_busy(lambda running: _until(lambda: _standing_back(running) > 0), *container)


def _few_do_not_stand_back(*container: str) -> object:
    return _with_busy(lambda running: _standing_back(running) == 0, *container)


def _stubs_are_ended(*container: str) -> object:
    sandbox = Container(*container)
    running = sandbox.talk()
    if running.stdout.readline() != b"many\n":
        return "there are not many"
    many = len(_descendants(running.pid))
    running.stdin.write(b".")
    running.stdin.flush()
    if running.stdout.readline() != b"none\n":
        return "they do not end"
    # Without the bound, all are kept. With it, some are, each with its threads.
    ended = _until(lambda: len(_descendants(running.pid)) < many // 2)
    left = len(_descendants(running.pid))
    running.stdin.close()
    return sandbox.result(running) if ended else f"{left} of {many} host processes are left"


def main() -> int:
    """Runs all checks. Prints the counts."""
    runsc, seccomp, crash, stub_memory, code, neighbours = (os.path.realpath(word) for word in sys.argv[1:7])
    of_systrap = [
        (_few_do_not_stand_back, neighbours, "few", 0),
        (_crowd_stands_back, neighbours, "crowd", 0),
        (_stubs_are_ended, neighbours, "stubs", 0),
    ]
    checks = [
        (_run, seccomp, "filters", 0),
        (_saved_and_restored, seccomp, "lasting", _LASTED),
        (_run, crash, "tmpfs", 0),
        (_run, crash, "setsid", 0),
        (_with_device, crash, "device", 0),
        (_run, stub_memory, "rounds", 0),
        (_run, code, "code", 0),
        (_run, neighbours, "numbers", 0),
        (_run, neighbours, "sysinfo", 0),
        (_run, neighbours, "data", 0),
    ]
    passed = failed = 0
    for platform in _PLATFORMS:
        for check, program, task, wanted in checks + (of_systrap if platform == "systrap" else []):
            got = check(runsc, platform, program, task)
            print(f"{'ok' if got == wanted else 'FAILED'}: {task} on {platform}: {got}", flush=True)
            failed += got != wanted
            passed += got == wanted
    print(f"{passed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
