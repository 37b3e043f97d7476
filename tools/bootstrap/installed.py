"""A Bazel or bazelisk on PATH, if it suits this workspace."""

import os
import pathlib
import shutil
import subprocess
import tempfile
from typing import Iterator, Optional, Tuple

_WORKSPACE = pathlib.Path(__file__).parent.parent.parent


def find() -> Tuple[Optional[str], str]:
    """Returns a usable Bazel, if any, and the reason for the result."""
    version = (_WORKSPACE / ".bazelversion").read_text().strip()
    reason = "no bazel or bazelisk on PATH"
    for program in _on_path():
        if version not in _answer([program, "--version"], _WORKSPACE):
            reason = f"{program} is not, or cannot become, Bazel {version}"
        elif not _reaches_registry(program):
            reason = f"{program} is Bazel {version}, but it cannot reach a module registry"
        else:
            return program, f"{program} is Bazel {version} and reaches a module registry"
    return None, reason


def _on_path() -> Iterator[str]:
    """Yields the candidates, without links to this workspace's own tools/bazel."""
    for name in ("bazel", "bazelisk"):
        program = shutil.which(name)
        if program and os.path.realpath(program) != str((_WORKSPACE / "tools/bazel").resolve()):
            yield program


def _answer(command, folder: pathlib.Path) -> str:
    try:
        done = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
        )
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout if done.returncode == 0 else ""


def _reaches_registry(program: str) -> bool:
    """Returns whether the candidate, with its own registries, proxies and certificates, resolves one small module."""
    with tempfile.TemporaryDirectory() as folder:
        here = pathlib.Path(folder)
        (here / "MODULE.bazel").write_text('bazel_dep(name = "platforms", version = "0.0.10")\n')
        shutil.copy(_WORKSPACE / ".bazelversion", here)
        base = [program, f"--output_user_root={folder}/out"]
        found = "platforms" in _answer([*base, "mod", "graph", "--lockfile_mode=off"], here)
        _answer([*base, "shutdown"], here)
        return found
