"""Builds runsc, or runs the unit tests of gVisor's packages, from Debian's source and our patches.

Bazel runs this with `build.bzl`'s rules. Of the machine it uses python3, dpkg-deb, tar, patch and a shell. The rest
is among the inputs: the Go and C++ compilers and gVisor's dependencies are Debian packages, unpacked into a folder of
their own.
"""

import argparse
import pathlib
import shutil
import sys
import tempfile

import go
import native
import source
import toolchain


def main() -> int:
    """Runs the task that the command line names."""
    parser = argparse.ArgumentParser(prog="build", description=__doc__)
    parser.add_argument("--original", type=pathlib.Path, required=True, help="upstream's source")
    parser.add_argument("--debian", type=pathlib.Path, required=True, help="Debian's changes to it")
    parser.add_argument("--package", type=pathlib.Path, action="append", required=True, help="a Debian package")
    parser.add_argument("--patch", type=pathlib.Path, action="append", default=[], help="one of our changes")
    tasks = parser.add_subparsers(dest="task", required=True)
    build = tasks.add_parser("build", help="builds runsc")
    build.add_argument("--output", type=pathlib.Path, required=True)
    test = tasks.add_parser("test", help="runs unit tests")
    test.add_argument("--file", action="append", default=[], help="PACKAGE=FILE: another file of tests")
    test.add_argument("packages", nargs="+", help="packages, below gvisor.dev/gvisor")
    args = parser.parse_args()

    # No output has this folder's name.
    work = pathlib.Path(tempfile.mkdtemp(prefix="runsc-"))
    try:
        tools = toolchain.unpack(args.package, work / "root")
        tree = source.prepare(args.original, args.debian, args.patch, work / "gopath")
        native.build(tree, tools, work / "objects")
        compiler = go.Go(tools, work)
        if args.task == "test":
            for package, _, file in (text.partition("=") for text in args.file):
                shutil.copy(file, tree / package)
            return compiler.test(tree, args.packages)
        compiler.build(tree, source.version(args.original, args.patch), args.output.absolute())
        return 0
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    sys.exit(main())
