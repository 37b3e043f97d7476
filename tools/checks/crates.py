#!/usr/bin/env python3
"""Checks licences, duplicates and sources of crates with cargo-deny, as deny.toml says.

With `--advisories`, looks for known vulnerabilities instead, which fetches the advisory database.

Uses cargo-deny from PATH, or else has Cargo build the version below once and keeps it in the cache.
"""

import os
import pathlib
import shutil
import subprocess
import sys

WORKSPACE = pathlib.Path(__file__).resolve().parent.parent.parent

# To bump: `cargo info cargo-deny`. Cargo checks what it downloads against its index.
VERSION = "0.20.2"


def main() -> int:
    deny = shutil.which("cargo-deny") or built()
    if "--advisories" in sys.argv[1:]:
        return subprocess.run([deny, "--locked", "check", "advisories"], cwd=WORKSPACE).returncode
    # A no-op if Clippy or a build has fetched every crate before.
    subprocess.run(["cargo", "fetch", "--locked", "--quiet"], cwd=WORKSPACE, check=True)
    return subprocess.run(
        [deny, "--locked", "--offline", "check", "licenses", "bans", "sources"], cwd=WORKSPACE
    ).returncode


def built() -> str:
    """Returns cargo-deny, built by Cargo if it is not in the cache."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "roma"
    root = cache / f"cargo-deny-{VERSION}"
    program = root / "bin" / "cargo-deny"
    if not program.exists():
        environment = {**os.environ, "CARGO_TARGET_DIR": str(root / "target")}
        done = subprocess.run(
            ["cargo", "install", "--locked", "--debug", "--quiet", "--no-track", "--root", str(root)]
            + ["cargo-deny", "--version", VERSION],
            env=environment, stdin=subprocess.DEVNULL,
        )
        if done.returncode != 0:
            sys.exit(f"Cargo could not build cargo-deny {VERSION}")
        shutil.rmtree(root / "target", ignore_errors=True)
    return str(program)


if __name__ == "__main__":
    sys.exit(main())
