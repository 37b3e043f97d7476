#!/usr/bin/env python3
"""Runs the demo's images in podman: with the flags that docs/containers.md calls enough, and with fewer.

With --rebuild, builds all images a second time instead, in another folder and with nothing cached,
and compares the results. That takes as long as a first build.
"""

import hashlib
import json
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

WORKSPACE = pathlib.Path(__file__).resolve().parents[2]
PROFILE = WORKSPACE / "container/seccomp.json"

# podman's default limits are higher than a machine without systemd, or a container, may set.
PODMAN_ULIMITS = ["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"]
PODMAN_LIMITS = [*PODMAN_ULIMITS, "--network=none"]

ANSWERED = "Everything ended, and nothing is left"
USERS = ("root", "nonroot")

# The flags of docs/containers.md.
OUR_FILTER = [f"--security-opt=seccomp={PROFILE}"]
RUN_DIR = ["--tmpfs=/scratch:exec", "--env=ROMA_RUN_DIR=/scratch/roma"]
HARDENED = [*OUR_FILTER, "--cap-drop=ALL", "--security-opt=no-new-privileges", "--read-only", *RUN_DIR]
GVISOR, MINIMAL = ["--mode=gvisor"], ["--mode=minimal"]


def main() -> int:
    if sys.argv[1:] == ["--rebuild"]:
        return rebuild()
    missing = [tool for tool in ("podman", "podman-compose", "runc") if not shutil.which(tool)]
    if missing:
        print(f"missing: as root, apt-get install -y --no-install-recommends {' '.join(missing)}")
        return 1
    output("tools/bazel", "build", "--noshow_progress", "//container:all", *(f"//container/tools:demo_{u}.tar" for u in USERS))
    out = pathlib.Path(output("tools/bazel", "info", "bazel-bin").strip()) / "container"
    with tempfile.TemporaryDirectory() as folder, Podman(pathlib.Path(folder)) as engine:
        for user in USERS:
            engine("load", "--input", out / f"tools/demo_{user}.tar")
        answers(engine)
        integrator(engine)
        composed(engine, pathlib.Path(folder))
        external(engine, out, pathlib.Path(folder))
        refusals(engine, pathlib.Path(folder))
        left = engine("ps", "--all", "--quiet").stdout.strip()
        expect(not left, f"containers are left: {left}")
    return 0


class Podman:
    """A podman with its own storage. Calling it runs a command of podman."""

    def __init__(self, scratch: pathlib.Path):
        self._command = ["podman", f"--root={scratch}/storage", f"--runroot={scratch}/run", "--storage-driver=vfs"]
        self._command += ["--cgroup-manager=cgroupfs", f"--network-config-dir={scratch}/networks"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # `system reset` would also delete what is outside this storage.
        self("rm", "--all", "--force")

    def command(self, runtime="runc") -> list:
        return [*self._command, f"--runtime={runtime}"]

    def __call__(self, *words, runtime="runc") -> subprocess.CompletedProcess:
        command = [*self.command(runtime), *map(str, words)]
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)


def demo(engine, user: str, flags: list, words: list, **how) -> subprocess.CompletedProcess:
    image = f"localhost/roma/demo:{user}"
    return engine("run", "--rm", *PODMAN_LIMITS, *flags, image, *words, **how)


def answers(engine) -> None:
    """Checks each set of flags that the documentation calls enough."""
    for user in USERS:
        # The kernel requires SETFCAP for mapping root into a user namespace.
        hardened = HARDENED + (["--cap-add=SETFCAP"] if user == "root" else [])
        answered(f"gvisor, {user}, podman's defaults", demo(engine, user, [], GVISOR))
        answered(f"gvisor, {user}, hardened", demo(engine, user, hardened, GVISOR))
        answered(f"minimal, {user}, our filter", demo(engine, user, OUR_FILTER, MINIMAL))
        answered(f"minimal, {user}, hardened", demo(engine, user, hardened, MINIMAL))
        off = demo(engine, user, [*OUR_FILTER, "--env=DISABLE_GVISOR=true"], GVISOR)
        expect("gVisor is DISABLED" in off.stdout, off)
        answered(f"DISABLE_GVISOR, {user}", off)


def integrator(engine) -> None:
    """Checks the image of another workspace, which follows docs/containers.md."""
    there = WORKSPACE / "tools/consumer_test"
    output("../bazel", "build", "--noshow_progress", "//:image.tar", cwd=there)
    engine("load", "--input", pathlib.Path(output("../bazel", "info", "bazel-bin", cwd=there).strip()) / "image.tar")
    done = engine("run", "--rm", *PODMAN_LIMITS, "localhost/example/server:v1")
    expect(done.stdout == "Hello, container! It is 0.\n", done)
    print("answered: an integrator's own image")


def composed(engine, scratch: pathlib.Path) -> None:
    """Checks the compose files."""
    wrapper = scratch / "podman"
    wrapper.write_text(f"#!/bin/sh\nexec {shlex.join(engine.command())} \"$@\"\n")
    wrapper.chmod(0o755)
    for file in ("compose.yaml", "compose.dev.yaml"):
        command = ["podman-compose", f"--podman-path={wrapper}", f"--podman-run-args={' '.join(PODMAN_ULIMITS)}"]
        command += ["-f", str(WORKSPACE / "container" / file)]
        done = subprocess.run([*command, "up"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        subprocess.run([*command, "down"], stdin=subprocess.DEVNULL, capture_output=True)
        answered(file, done)


def external(engine, out: pathlib.Path, scratch: pathlib.Path) -> None:
    """Checks gVisor around the whole container, as podman's runtime."""
    path = "usr/byob/gvisor/bin/runsc"
    output("tar", "-x", "-f", out / "gvisor_tar_root.tar", "-C", scratch, path)
    runtime = scratch / "runsc"
    runtime.write_text(f'#!/bin/sh\nexec {scratch}/{path} --network=none --ignore-cgroups "$@"\n')
    runtime.chmod(0o755)
    done = demo(engine, "root", ["--cap-add=SYS_ADMIN"], ["--mode=external"], runtime=runtime)
    answered("external, root, in runsc", done)


def refusals(engine, scratch: pathlib.Path) -> None:
    """Checks what is refused, and that the message says what to do."""
    no_namespaces = scratch / "no_namespaces.json"
    no_namespaces.write_text(json.dumps(without_namespaces(json.loads(PROFILE.read_text()))))
    cases = [
        ("minimal, podman's defaults", "nonroot", [], MINIMAL, r"To fix it: a filter of the container.*seccomp\.json"),
        ("gvisor, no chroot", "nonroot", ["--cap-drop=ALL"], GVISOR, r"To fix it: gVisor may not call chroot"),
        ("gvisor, root without SETFCAP", "root", ["--cap-drop=ALL"], GVISOR, r"To fix it: .*CAP_SETFCAP"),
        ("minimal, root without SETFCAP", "root", HARDENED, MINIMAL, r"To fix it: .*CAP_SETFCAP"),
        ("gvisor, no namespaces", "nonroot", [f"--security-opt=seccomp={no_namespaces}"], GVISOR, r"To fix it: .*container/seccomp\.json"),
        ("minimal, no namespaces", "nonroot", [f"--security-opt=seccomp={no_namespaces}"], MINIMAL, r"To fix it: .*container/seccomp\.json"),
        ("read-only root", "nonroot", ["--read-only"], GVISOR, r"run directory /run_workers: .*Read-only"),
        ("a run directory that does not exist", "nonroot", ["--env=ROMA_RUN_DIR=/no/such"], GVISOR, r"run directory /no/such"),
        ("another user's folder", "nonroot", ["--tmpfs=/run_workers"], GVISOR, r"only its owner, this user, can write"),
        ("root's layers", "root", ["--user=65532:65532"], GVISOR, r"for user 0, .* user 65532: take the layers"),
        ("nonroot's layers", "nonroot", ["--user=0:0"], GVISOR, r"for user 65532, .* user 0: take the layers"),
    ]
    for title, user, flags, words, expected in cases:
        done = demo(engine, user, flags, words)
        expect(done.returncode == 1 and re.search(expected, done.stderr), f"{title}: {done}")
        print(f"refused with advice: {title}")


def without_namespaces(profile: dict) -> dict:
    """Returns the profile without namespaces, as Docker's is for a container without CAP_SYS_ADMIN."""
    kept_back = {"clone", "clone3", "mount", "pivot_root", "setdomainname", "sethostname", "setns", "umount2", "unshare"}
    allowed = profile["syscalls"][0]
    allowed["names"] = [name for name in allowed["names"] if name not in kept_back]
    flags = {"index": 0, "value": 0x7E020000, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}
    profile["syscalls"].append({"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [flags]})
    profile["syscalls"].append({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38})
    return profile | {"defaultErrnoRet": 1}


def answered(title: str, done: subprocess.CompletedProcess) -> None:
    expect(done.returncode == 0 and ANSWERED in done.stdout, f"{title}: {done}")
    up = re.search(r"Up after ([0-9.]+ m?s)", done.stdout)
    print(f"answered: {title} (the service was up after {up.group(1) if up else '?'})")


def rebuild() -> int:
    dirty = output("git", "status", "--porcelain")
    expect(not dirty, f"there are uncommitted changes, which the second build would not have: commit them first\n{dirty}")
    first = digests([])
    with tempfile.TemporaryDirectory(dir=pathlib.Path.home() / ".cache") as folder:
        clone = pathlib.Path(folder) / "clone"
        output("git", "clone", "--quiet", WORKSPACE, clone)
        startup = [f"--output_base={folder}/base"]
        try:
            second = digests(startup, clone)
        finally:
            output("tools/bazel", *startup, "clean", "--expunge", cwd=clone)
    # The first folder may also hold files of earlier builds.
    different = [name for name in second if second[name] != first.get(name)]
    expect(second and not different, f"these differ: {', '.join(different)}")
    print(f"a second build in another folder: the same {len(second)} images and layers")
    return 0


def digests(startup: list, workspace: pathlib.Path = WORKSPACE) -> dict:
    """Builds everything and returns the digest of each image and layer."""
    flags = ["--noshow_progress"] + (["--disk_cache="] if startup else [])
    output("tools/bazel", *startup, "build", *flags, "//container/...", cwd=workspace)
    out = pathlib.Path(output("tools/bazel", *startup, "info", "bazel-bin", cwd=workspace).strip()) / "container"
    images = {str(file.relative_to(out)): file.read_text() for file in out.rglob("*.json.sha256")}
    layers = [file for file in out.rglob("*.tar") if not file.is_symlink()]
    return images | {str(file.relative_to(out)): hashlib.sha256(file.read_bytes()).hexdigest() for file in layers}


def expect(holds, otherwise) -> None:
    if not holds:
        sys.exit(f"unexpected: {otherwise}")


def output(*command, cwd=WORKSPACE) -> str:
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode != 0:
        sys.exit(f"`{' '.join(map(str, command))}` failed:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
