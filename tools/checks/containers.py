#!/usr/bin/env python3
"""Runs the demo's images in podman and in Docker: with the flags that docs/containers.md calls enough, and with
fewer. With the name of an engine, only in that one.

With --rebuild, builds all images a second time instead, in another folder and with nothing cached,
and compares the results. That takes as long as a first build.
"""

import hashlib
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from container_engines import ENGINES

WORKSPACE = pathlib.Path(__file__).resolve().parents[2]
PROFILE = WORKSPACE / "container/seccomp.json"

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
    engines = [engine for engine in ENGINES if engine.name.lower() in (sys.argv[1:] or [engine.name.lower()])]
    expect(engines, "usage: containers.py [podman|docker|--rebuild]")
    if not all(shutil.which(tool) for engine in engines for tool in engine.needs):
        packages = dict.fromkeys(package for engine in engines for package in engine.packages)
        print(f"missing: as root, apt-get install -y --no-install-recommends {' '.join(packages)}")
        return 1
    images = [*demos(), integrator()]
    for engine in engines:
        check(engine, images)
    return 0


def demos() -> list:
    """Builds the images of the demo and returns their files."""
    output("tools/bazel", "build", "--noshow_progress", "//container:all", *(f"//container/tools:demo_{u}.tar" for u in USERS))
    return [built() / f"tools/demo_{user}.tar" for user in USERS]


def built() -> pathlib.Path:
    return pathlib.Path(output("tools/bazel", "info", "bazel-bin").strip()) / "container"


def integrator() -> pathlib.Path:
    """Builds the image of another workspace, which follows docs/containers.md, and returns its file."""
    there = WORKSPACE / "tools/consumer_test"
    output("../bazel", "build", "--noshow_progress", "//:image.tar", cwd=there)
    return pathlib.Path(output("../bazel", "info", "bazel-bin", cwd=there).strip()) / "image.tar"


def check(kind: type, images: list) -> None:
    print(f"{kind.name}:")
    with tempfile.TemporaryDirectory() as folder, kind(pathlib.Path(folder), runsc(pathlib.Path(folder))) as engine:
        for image in images:
            loaded = engine("load", "--input", image)
            expect(loaded.returncode == 0, loaded)
        answers(engine)
        done = engine.run("example/server:v1", engine_filter(engine), [])
        expect(done.stdout == "Hello, container! It is 0.\n", done)
        print("answered: an integrator's own image")
        for file in ("compose.yaml", "compose.dev.yaml"):
            answered(file, engine.compose(WORKSPACE / "container" / file))
        answered("external, root, in runsc", demo(engine, "root", ["--cap-add=SYS_ADMIN"], ["--mode=external"], runtime="runsc"))
        refusals(engine, pathlib.Path(folder))
        left = engine("ps", "--all", "--quiet").stdout.strip()
        expect(not left, f"containers are left: {left}")


def runsc(scratch: pathlib.Path) -> pathlib.Path:
    """Unpacks the runsc of the layers, for an engine that takes it as a runtime."""
    path = "usr/byob/gvisor/bin/runsc"
    output("tar", "-x", "-f", built() / "gvisor_tar_root.tar", "-C", scratch, path)
    return scratch / path


def demo(engine, user: str, flags: list, words: list, **how) -> subprocess.CompletedProcess:
    return engine.run(f"roma/demo:{user}", flags, words, **how)


def engine_filter(engine) -> list:
    """Returns the flags without which the engine's own filter keeps gVisor from starting."""
    return OUR_FILTER if engine.filter_forbids_namespaces else []


def answers(engine) -> None:
    """Checks each set of flags that the documentation calls enough."""
    for user in USERS:
        # The kernel requires SETFCAP for mapping root into a user namespace.
        hardened = HARDENED + (["--cap-add=SETFCAP"] if user == "root" else [])
        answered(f"gvisor, {user}, least flags", demo(engine, user, engine_filter(engine), GVISOR))
        answered(f"gvisor, {user}, hardened", demo(engine, user, hardened, GVISOR))
        answered(f"minimal, {user}, our filter", demo(engine, user, OUR_FILTER, MINIMAL))
        answered(f"minimal, {user}, hardened", demo(engine, user, hardened, MINIMAL))
        off = demo(engine, user, [*OUR_FILTER, "--env=DISABLE_GVISOR=true"], GVISOR)
        expect("gVisor is DISABLED" in off.stdout, off)
        answered(f"DISABLE_GVISOR, {user}", off)
    elsewhere = ["--tmpfs=/run_workers:noexec"]
    answered("gvisor, where /run_workers cannot be used", demo(engine, "nonroot", [*OUR_FILTER, *elsewhere], GVISOR))


def refusals(engine, scratch: pathlib.Path) -> None:
    """Checks what is refused, and that the message says what to do."""
    no_namespaces = scratch / "no_namespaces.json"
    no_namespaces.write_text(json.dumps(without_namespaces(json.loads(PROFILE.read_text()))))
    without = [f"--security-opt=seccomp={no_namespaces}"]
    noexec = ["--tmpfs=/scratch:noexec", *RUN_DIR[1:]]
    open_to_all = ["--tmpfs=/scratch:exec", "--env=ROMA_RUN_DIR=/scratch"]
    cases = [
        ("minimal, the engine's filter", "nonroot", [], MINIMAL, r"To fix it: .*seccomp\.json"),
        ("gvisor, root without SETFCAP", "root", [*OUR_FILTER, "--cap-drop=ALL"], GVISOR, r"To fix it: .*CAP_SETFCAP"),
        ("minimal, root without SETFCAP", "root", HARDENED, MINIMAL, r"To fix it: .*CAP_SETFCAP"),
        ("gvisor, no namespaces", "nonroot", without, GVISOR, r"To fix it: .*container/seccomp\.json"),
        ("minimal, no namespaces", "nonroot", without, MINIMAL, r"To fix it: .*container/seccomp\.json"),
        ("read-only root", "nonroot", engine.read_only, GVISOR, r"no folder can be the run directory .*/run_workers: .*Read-only"),
        ("a run directory that does not exist", "nonroot", ["--env=ROMA_RUN_DIR=/no/such"], GVISOR, r"run directory /no/such"),
        ("a run directory that is noexec", "nonroot", noexec, GVISOR, r"run directory /scratch/roma: .* noexec, .*`exec`"),
        ("another user's folder", "nonroot", open_to_all, GVISOR, r"only its owner, this user, can write"),
        ("root's layers", "root", ["--user=65532:65532"], GVISOR, r"for user 0, .* user 65532: take the layers"),
        ("nonroot's layers", "nonroot", ["--user=0:0"], GVISOR, r"for user 65532, .* user 0: take the layers"),
    ]
    if engine.filter_forbids_namespaces:
        cases.append(("gvisor, the engine's filter", "nonroot", [], GVISOR, r"To fix it: .*container/seccomp\.json"))
    else:
        cases.append(("gvisor, no chroot", "nonroot", ["--cap-drop=ALL"], GVISOR, r"To fix it: gVisor may not call chroot"))
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
