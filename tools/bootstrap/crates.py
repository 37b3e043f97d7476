"""cargo-bazel, the program behind rules_rust's crate_universe, built once from Debian's source."""

import hashlib
import os
import pathlib
import shutil

import host
from report import Problem
from run import logged

# crates-index 3.2, which cargo-bazel contains, looks for crates.io's index in a folder of this name. cargo 1.85
# changed the name.
_OLD_INDEX = "index.crates.io-6f17d22bba15001f"


def folder(source: pathlib.Path, cache: pathlib.Path, rust: host.Rust) -> pathlib.Path:
    """Returns the folder of the cargo-bazel that this Rust builds from this source, and of its CARGO_HOME."""
    key = hashlib.sha256((source / "Cargo.lock").read_bytes() + rust.version.encode()).hexdigest()[:16]
    return cache / f"cargo-bazel-{key}"


def is_built(folder: pathlib.Path) -> bool:
    """Returns whether cargo-bazel is built."""
    return (folder / "complete").exists()


def build(folder: pathlib.Path, source: pathlib.Path, rust: host.Rust) -> None:
    """Builds cargo-bazel. Continues an interrupted build."""
    home = folder / "cargo-home"
    home.mkdir(parents=True, exist_ok=True)
    _share_settings(home)
    cargo = rust.sysroot / "bin" / "cargo"
    logged(
        [cargo, "install", "--debug", "--locked", "--path", source, "--root", folder, "--bin", "cargo-bazel", "--quiet"],
        folder / "build.log",
        env={
            **os.environ,
            "CARGO_HOME": str(home),
            "CARGO_TARGET_DIR": str(folder / "target"),
            "CARGO_PROFILE_DEV_DEBUG": "0",
            "CARGO_INCREMENTAL": "0",
            "PATH": f"{rust.sysroot}/bin:{os.environ['PATH']}",
            "RUSTC": str(rust.sysroot / "bin/rustc"),
        },
    )
    _alias_index(home / "registry/index")
    shutil.rmtree(folder / "target")
    (folder / "complete").touch()


def _share_settings(home: pathlib.Path) -> None:
    """Links the settings of the user's own cargo: registry, mirror, proxy and credentials."""
    own = pathlib.Path(os.environ.get("CARGO_HOME", pathlib.Path.home() / ".cargo"))
    for name in ("config.toml", "config", "credentials.toml", "credentials"):
        if (own / name).exists() and not (home / name).is_symlink():
            (home / name).symlink_to(own / name)


def _alias_index(index: pathlib.Path) -> None:
    found = [folder for folder in index.iterdir() if folder.is_dir() and not folder.is_symlink()]
    if len(found) != 1:
        raise Problem(f"expected one registry index in {index}, found {sorted(f.name for f in found)}")
    if found[0].name != _OLD_INDEX and not (index / _OLD_INDEX).is_symlink():
        (index / _OLD_INDEX).symlink_to(found[0].name)
