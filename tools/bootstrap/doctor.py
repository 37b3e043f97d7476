"""`tools/bazel --doctor`: what is used here, and why."""

import os
import pathlib

import host
import installed
from report import Problem
from run import output


def report(cache: pathlib.Path) -> None:
    """Prints one line for each tool or setting that a build takes from the machine."""
    program, reason = installed.find()
    ready = sorted(cache.glob("bazel-*/start"), key=lambda start: start.stat().st_mtime)
    prepared = ready[-1].parent if ready else None
    system = next(iter(cache.glob("debian-*/complete")), None)
    rows = [("bazel", _bazel(program, reason, system))]
    rows.append(("registry", "the one in this Bazel's settings" if program else _registry(prepared)))
    rows.append(("rust", _rust(program)))
    rows.append(("runsc", _runsc(program, system)))
    rows.append(("cache", f"{cache} (ROMA_CACHE or XDG_CACHE_HOME moves it)"))
    for name, text in rows:
        print(f"{name:10}{text}")


def _bazel(program, reason, system) -> str:
    if program:
        return f"{program}: {reason}"
    if system:
        return f"Debian's, in {system.parent / 'root/usr/bin/bazel'}: {reason}"
    return f"not prepared yet; the next call of tools/bazel does it: {reason}"


def _registry(prepared) -> str:
    return f"{prepared / 'registry'}: Debian's rule packages and stand-ins" if prepared else "not prepared yet"


def _rust(program) -> str:
    try:
        rust = host.rust()
    except Problem as problem:
        return f"none: {problem}"
    use = "Cargo only; Bazel downloads the one that MODULE.bazel pins" if program else "Cargo and Bazel"
    return f"{rust.version} in {rust.sysroot}, used by {use}"


def _runsc(program, system) -> str:
    """Describes the runsc that third_party/runsc uses."""
    if os.environ.get("ROMA_RUNSC"):
        return f"{os.environ['ROMA_RUNSC']}, named by ROMA_RUNSC"
    if system and not program:
        return "built from Debian's source of gVisor with the changes in third_party/runsc/patches"
    return "the release of gVisor that third_party/runsc pins, which the build downloads"
