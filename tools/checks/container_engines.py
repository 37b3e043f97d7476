"""Container engines of a test's own: podman, and Docker Engine. Nothing of them outlives the test."""

from __future__ import annotations

import json
import os
import pathlib
import select
import shlex
import subprocess
import time

# How long the Docker daemon may take to answer, on a busy machine.
PATIENCE = 120
# runsc takes its own flags on its command line. A container has no network here.
RUNSC_FLAGS = ["--network=none", "--ignore-cgroups"]


class Podman:
    """A podman with its own storage. Calling it runs a command of podman."""

    name = "podman"
    needs = ("podman", "podman-compose", "runc")
    packages = needs
    filter_forbids_namespaces = False
    # Without this, podman adds writable folders to a read-only root.
    read_only = ["--read-only", "--read-only-tmpfs=false"]
    # Its default limits are higher than a machine without systemd, or a container, may set.
    _limits = ["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"]

    def __init__(self, scratch: pathlib.Path, runsc: pathlib.Path):
        self._scratch = scratch
        self._command = ["podman", f"--root={scratch}/storage", f"--runroot={scratch}/run", "--storage-driver=vfs"]
        self._command += ["--cgroup-manager=cgroupfs", f"--network-config-dir={scratch}/networks"]
        # podman's option for a runtime has no place for the flags of runsc.
        self._runsc = script(scratch / "runsc", [str(runsc), *RUNSC_FLAGS])

    def __enter__(self) -> Podman:
        return self

    def __exit__(self, *_) -> None:
        # `system reset` would also delete what is outside this storage.
        self("rm", "--all", "--force")

    def __call__(self, *words, runtime: str | None = None) -> subprocess.CompletedProcess:
        return run([*self._command, f"--runtime={self._runsc if runtime == 'runsc' else 'runc'}", *words])

    def run(self, image: str, flags: list, words: list, **how) -> subprocess.CompletedProcess:
        """Runs a container of a loaded image."""
        flags = ["--rm", "--network=none", *self._limits, *flags]
        return self("run", *flags, f"localhost/{image}", *words, **how)

    def compose(self, file: pathlib.Path) -> subprocess.CompletedProcess:
        """Runs a compose file until its containers end."""
        podman = script(self._scratch / "podman", [*self._command, "--runtime=runc"])
        command = ["podman-compose", f"--podman-path={podman}", f"--podman-run-args={' '.join(self._limits)}"]
        done = run([*command, "-f", file, "up"], cwd=file.parent)
        run([*command, "-f", file, "down"], cwd=file.parent)
        return done


class Docker:
    """A Docker daemon with data, networks and processes of its own. Calling it runs a command of docker."""

    name = "Docker"
    needs = ("docker", "docker-compose", "dockerd", "containerd", "runc")
    packages = ("docker.io", "docker-compose", "runc")
    filter_forbids_namespaces = True
    read_only = ["--read-only"]

    def __init__(self, scratch: pathlib.Path, runsc: pathlib.Path):
        self._scratch = scratch
        self._socket = f"unix://{scratch}/socket"
        self._log = scratch / "daemon.log"
        self._group = f"roma-containers-{os.getpid()}"
        runtimes = {"runsc": {"path": str(runsc), "runtimeArgs": RUNSC_FLAGS}}
        # As /etc/docker/daemon.json, which is not read.
        self._config = scratch / "daemon.json"
        self._config.write_text(json.dumps({"runtimes": runtimes}))

    def __enter__(self) -> Docker:
        # In namespaces of its own it changes no network and no mount of the machine, and all of its processes
        # end with it.
        command = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "dockerd"]
        command += [f"--config-file={self._config}", f"--host={self._socket}", f"--pidfile={self._scratch}/pid"]
        command += [f"--data-root={self._scratch}/data", f"--exec-root={self._scratch}/exec"]
        command += ["--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false"]
        command += [f"--cgroup-parent=/{self._group}"]
        with self._log.open("wb") as log:
            self._daemon = subprocess.Popen(
                list(map(str, command)), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _wait(self) -> None:
        until = time.monotonic() + PATIENCE
        while self("version").returncode != 0:
            if self._daemon.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"the Docker daemon does not answer:\n{self._log.read_text()}")
            time.sleep(0.2)

    def __exit__(self, *_) -> None:
        first = self._first_processes()
        self._daemon.kill()
        self._daemon.wait()
        # The first process of a namespace ends after all others: now nothing writes to the folder any more.
        for process in first:
            select.select([process], [], [])
            os.close(process)
        groups = pathlib.Path("/sys/fs/cgroup")
        # v1 has a folder for each controller, v2 one for all.
        for group in [*groups.glob(f"*/{self._group}"), *groups.glob(self._group)]:
            group.rmdir()

    def _first_processes(self) -> list:
        """Returns a descriptor of the first process of the daemon's namespace, if it lives."""
        try:
            children = pathlib.Path(f"/proc/{self._daemon.pid}/task/{self._daemon.pid}/children").read_text()
            return [os.pidfd_open(int(child)) for child in children.split()]
        except OSError:
            return []

    def __call__(self, *words, runtime: str | None = None) -> subprocess.CompletedProcess:
        return run(["docker", f"--host={self._socket}", *words])

    def run(self, image: str, flags: list, words: list, runtime: str = "runc") -> subprocess.CompletedProcess:
        """Runs a container of a loaded image."""
        return self("run", "--rm", "--network=none", f"--runtime={runtime}", *flags, image, *words)

    def compose(self, file: pathlib.Path) -> subprocess.CompletedProcess:
        """Runs a compose file until its containers end."""
        command = ["docker-compose", f"--host={self._socket}", "-f", file]
        # docker-compose 1 reads the file of a filter from where it is started.
        done = run([*command, "up", "--abort-on-container-exit"], cwd=file.parent)
        run([*command, "down"], cwd=file.parent)
        return done


ENGINES = (Podman, Docker)


def script(path: pathlib.Path, command: list) -> pathlib.Path:
    """Writes a program that runs a command with further arguments."""
    path.write_text(f"#!/bin/sh\nexec {shlex.join(command)} \"$@\"\n")
    path.chmod(0o755)
    return path


def run(command: list, cwd: pathlib.Path | None = None) -> subprocess.CompletedProcess:
    # A variable of the caller's must not lead to another daemon.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DOCKER_", "COMPOSE_"))}
    return subprocess.run(
        list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=cwd, env=environment
    )
