"""gVisor's source: upstream's archive, Debian's changes and ours."""

import hashlib
import pathlib
import re
import subprocess
from typing import List


def prepare(original: pathlib.Path, debian: pathlib.Path, patches: List[pathlib.Path], gopath: pathlib.Path) -> pathlib.Path:
    """Unpacks the source where Go looks for it and applies the changes. Returns its folder."""
    tree = gopath / "src/gvisor.dev/gvisor"
    tree.mkdir(parents=True)
    for archive, strip in ((original, 1), (debian, 0)):
        subprocess.run(["tar", "-x", "-C", tree, f"--strip-components={strip}", "--no-same-owner", "-f", archive], check=True)
    series = (tree / "debian/patches/series").read_text().split()
    for patch in [tree / "debian/patches" / name for name in series] + patches:
        # No fuzz: a patch for another source must not be applied to this one.
        done = subprocess.run(["patch", "-p1", "--batch", "--fuzz=0", "--silent", "-d", tree, "-i", patch.absolute()])
        if done.returncode != 0:
            raise SystemExit(f"{patch} does not apply to {original.name}")
    return tree


def version(original: pathlib.Path, patches: List[pathlib.Path]) -> str:
    """Returns the version that the program reports: upstream's, a digest of our patches, and their names."""
    upstream = re.search(r"_0\.0~(\d+\.\d+)\.orig", original.name).group(1)
    digest = hashlib.sha256(b"".join(hashlib.sha256(patch.read_bytes()).digest() for patch in patches)).hexdigest()
    names = " ".join(re.sub(r"^\d+-", "", patch.stem) for patch in patches)
    return f"{upstream}+roma.{digest[:8]} ({names})"
