"""The parts of gVisor that are not in Go: the vDSO and the signal handler of the platform systrap.

The commands are those of gVisor's own BUILD files (`vdso/BUILD`, `pkg/sentry/platform/systrap/sysmsg/build.bzl`).
"""

import os
import pathlib
import subprocess
import sys

from toolchain import Tools

_SYSMSG = "pkg/sentry/platform/systrap/sysmsg"
_EBPF = [f"runsc/sandbox/bpf/{name}_ebpf.o" for name in ("af_xdp", "tunnel_veth")]
_EBPF += [f"tools/xdp/cmd/bpf/{name}_ebpf.o" for name in ("drop", "pass", "redirect_host", "tcpdump", "tunnel_host")]


def build(tree: pathlib.Path, tools: Tools, objects: pathlib.Path) -> None:
    """Writes the files that gVisor's Go code embeds."""
    objects.mkdir()
    _vdso(tree, tools, objects)
    _signal_handler(tree / _SYSMSG, tools, objects)
    for program in _EBPF:
        # The programs of XDP, which `--network=none` never loads.
        (tree / program).touch()


def _vdso(tree: pathlib.Path, tools: Tools, objects: pathlib.Path) -> None:
    output = tree / f"pkg/sentry/loader/vdsodata/vdso_{tools.arch.debian}.so"
    flags = [f"-I{tree}", "-O2", "-std=c++11", "-fPIC", "-fno-sanitize=all", "-fno-stack-protector"]
    flags += [f"-ffile-prefix-map={tree}=."]
    parts = []
    for name in ("vdso", "vdso_time"):
        parts.append(objects / f"{name}.o")
        tools.preprocess_and_compile("c++", tree / f"vdso/{name}.cc", parts[-1], flags)
    link = ["-shared", "-nostdlib", "-soname=linux-vdso.so.1", "--hash-style=sysv", "--no-undefined", "-Bsymbolic"]
    link += ["-z", "max-page-size=4096", "-z", "common-page-size=4096", "-T", tree / f"vdso/vdso_{tools.arch.debian}.lds"]
    tools.run("ld", *link, "-o", output, *parts)
    check = [sys.executable, "-B", tree / "vdso/check_vdso.py", "--check-data", f"--vdso={output}"]
    tools.write_program("readelf", objects)
    subprocess.run(check, check=True, env={**os.environ, "PATH": f"{objects}:{os.defpath}"}, stdout=subprocess.DEVNULL)


def _signal_handler(sysmsg: pathlib.Path, tools: Tools, objects: pathlib.Path) -> None:
    arch = tools.arch.debian
    flags = ["-O2"] if arch == "amd64" else ["-O1", "-mno-outline-atomics"]
    flags += ["-Wall", "-fpie", "-fno-builtin", "-ffreestanding", "-mgeneral-regs-only"]
    flags += ["-fno-asynchronous-unwind-tables", "-fno-stack-protector", f"-I{sysmsg}", f"-ffile-prefix-map={sysmsg}=."]
    parts = []
    for name in (f"sighandler_{arch}.c", f"syshandler_{arch}.S", f"sigrestorer_{arch}.S", "sysmsg_lib.c"):
        parts.append((objects / name).with_suffix(".o"))
        tools.preprocess_and_compile("c" if name.endswith(".c") else "assembler", sysmsg / name, parts[-1], flags)
    linked = objects / "sighandler.built-in.bin.o"
    tools.run("ld", "-pie", "--no-warn-rwx-segments", "-z", "noexecstack", "-T", sysmsg / "pie.lds.S", *parts, "-o", linked)
    tools.run("objcopy", "-O", "binary", linked, sysmsg / f"sighandler.built-in.{arch}.bin")
    tools.write_program("nm", objects)
    offsets = ["bash", sysmsg / "gen_offsets_go.sh", "sighandler", "Sighandler", linked]
    env = {**os.environ, "PATH": f"{objects}:{os.defpath}"}
    text = subprocess.run(offsets, check=True, env=env, stdout=subprocess.PIPE, text=True).stdout
    (sysmsg / f"sighandler_{arch}.go").write_text(text.replace(str(sysmsg), "."))
