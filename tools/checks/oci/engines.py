#!/usr/bin/env python3
"""Checks an image that Bazel built with the usual programs for images.

It has to pass `skopeo inspect` and `umoci unpack`, to run with `podman load` and `podman run`, and a
second build in another folder has to give the same bytes.
"""

import hashlib
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

WORKSPACE = pathlib.Path(__file__).resolve().parents[3]
PACKAGE = "tools/checks/oci"

# podman's default limits are higher than a machine without systemd, or a container, may set.
PODMAN_LIMITS = ["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024", "--network=none"]


def main() -> int:
    missing = [tool for tool in ("podman", "runc", "skopeo", "umoci") if not shutil.which(tool)]
    if missing:
        print(f"missing: as root, apt-get install -y --no-install-recommends {' '.join(missing)}")
        return 1
    image, tarball = build([])
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        inspect(image)
        unpack(image, scratch)
        run(tarball, scratch)
    rebuild(digest(image))
    return 0


def build(startup: list) -> tuple:
    """Builds the image and returns its layout folder and the tarball that `oci_load` loads."""
    targets = [f"//{PACKAGE}:runnable", f"//{PACKAGE}:runnable_tarball"]
    output("tools/bazel", *startup, "build", "--noshow_progress", "--disk_cache=", *targets)
    out = pathlib.Path(output("tools/bazel", *startup, "info", "bazel-bin").strip())
    return out / PACKAGE / "runnable", out / PACKAGE / "load_runnable/tarball.tar"


def inspect(image: pathlib.Path) -> None:
    seen = json.loads(output("skopeo", "inspect", f"oci:{image}"))
    expect(seen["Architecture"] == "amd64" and seen["Env"] == ["GREETING=Hello from"], seen)
    print("skopeo inspect: passed")


def unpack(image: pathlib.Path, scratch: pathlib.Path) -> None:
    # umoci needs a tag, which a layout of one image may lack.
    output("skopeo", "--insecure-policy", "copy", f"oci:{image}", f"oci:{scratch}/tagged:check")
    output("umoci", "unpack", "--image", f"{scratch}/tagged:check", f"{scratch}/bundle")
    said = output(f"{scratch}/bundle/rootfs/bin/hello", "umoci")
    expect(said == "no GREETING for umoci\n", said)
    print("umoci unpack: passed")


def run(tarball: pathlib.Path, scratch: pathlib.Path) -> None:
    podman = ["podman", f"--root={scratch}/storage", f"--runroot={scratch}/run", "--storage-driver=vfs"]
    podman += ["--cgroup-manager=cgroupfs", "--runtime=runc"]
    try:
        output(*podman, "load", "--input", tarball)
        said = output(*podman, "run", "--rm", *PODMAN_LIMITS, "localhost/roma/runnable:check", "podman")
        expect(said == "Hello from podman\n", said)
    finally:
        # `system reset` would also delete what is outside this storage.
        subprocess.run([*podman, "rm", "--all", "--force"], stdin=subprocess.DEVNULL, capture_output=True)
    print("podman load, podman run: passed")


def rebuild(expected: str) -> None:
    with tempfile.TemporaryDirectory(dir=pathlib.Path.home() / ".cache") as folder:
        startup = [f"--output_base={folder}/base"]
        try:
            image, _ = build(startup)
            expect(digest(image) == expected, "the second build differs from the first")
        finally:
            output("tools/bazel", *startup, "clean", "--expunge")
    print("a second build in another folder: the same bytes")


def digest(image: pathlib.Path) -> str:
    files = sorted(file for file in image.rglob("*") if file.is_file())
    whole = "".join(f"{file.relative_to(image)} {hashlib.sha256(file.read_bytes()).hexdigest()}\n" for file in files)
    return hashlib.sha256(whole.encode()).hexdigest()


def expect(holds: bool, otherwise) -> None:
    if not holds:
        sys.exit(f"unexpected: {otherwise}")


def output(*command) -> str:
    done = subprocess.run(
        [str(word) for word in command], cwd=WORKSPACE, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode != 0:
        sys.exit(f"`{' '.join(map(str, command))}` failed:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
