"""Prepares Debian's Bazel in the cache: fetches, unpacks and relocates it, and adds a registry of modules.

Each part gets its final name when it is complete, and the file `start` is written last. After an interruption,
the next call continues.
"""

import concurrent.futures
import hashlib
import pathlib
import shlex
import shutil
import textwrap

import crates
import debian
import host
import packages
import registry
import relocate
import trust
from report import Problem, say, step
from run import output

_HERE = pathlib.Path(__file__).parent
_WORKSPACE = _HERE.parent.parent


def prepare(cache: pathlib.Path, target: pathlib.Path) -> None:
    """Prepares a working Bazel in `target`, with the file `start` that starts it."""
    rust = host.rust()
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        system, cargo_bazel = _system(cache, rust, pool)
        v8 = _v8(cache)
        stand_ins = target / "modules"
        registry.copy_stand_ins(_WORKSPACE / "third_party/modules", stand_ins, system / "libraries")
        registry.write_registry(target / "registry", system / "root", stand_ins, _module_files())
        _write_rust_repositories(target, rust)
        trust.write_trust_store(target / "certificates.jks")
        _write_bazelrc(cache, target, system, v8, cargo_bazel.result())
    _write_start(target, system / "root", rust)


def _system(cache: pathlib.Path, rust: host.Rust, pool):
    """Returns the folder with everything from Debian, and a future of cargo-bazel's folder."""
    system = cache / f"debian-{_fingerprint('debian.py', 'packages.py', 'relocate.py')}"
    root, libraries = system / "root", system / "libraries"
    source = root / "usr/share/bazel/rules/rust/crate_universe"
    if (system / "complete").exists():
        return system, pool.submit(_cargo_bazel, source, cache, rust)
    say("preparing Debian's Bazel for this user: a few minutes, once")
    # After an interrupted call, fetched packages are used and unpacked ones are not.
    shutil.rmtree(system, ignore_errors=True)
    files = _fetch(cache)
    debian.unpack([file for file in files["bazel"] if file.name.startswith("bazel-rules-rust_")], root)
    cargo_bazel = pool.submit(_cargo_bazel, source, cache, rust)
    with step("unpacking and relocating the packages"):
        _unpack_in_parallel(pool, files, system)
        _keep(files["base"], system / "base")
        _keep(files["gvisor"], system / "gvisor")
        patchelf = libraries / "usr/bin/patchelf"
        relocate.relocate_bazel(root, patchelf)
        relocate.relocate_program(libraries / "usr/bin/protoc", libraries / "usr/lib" / host.arch().gnu, patchelf)
    (system / "complete").touch()
    for leftover in (cache / "apt", cache / "debs"):
        shutil.rmtree(leftover)
    return system, cargo_bazel


def _v8(cache: pathlib.Path) -> pathlib.Path:
    """Returns a folder that serves as `/`, with V8 and the libraries that it needs. It is apart from the others, so
    that another V8 leaves Bazel as it is."""
    names = hashlib.sha256(repr((packages.V8_SUITE, packages.V8)).encode()).hexdigest()[:16]
    target = cache / f"v8-{names}"
    if target.exists():
        return target
    draft, files = cache / "v8.new", cache / "v8-debs"
    shutil.rmtree(draft, ignore_errors=True)
    sources = debian.Debian(cache / "v8-apt", [packages.V8_SUITE])
    with step(f"fetching and unpacking V8 ({len(packages.V8)} packages, about 34 MB)"):
        sources.update()
        wanted = sources.exactly(packages.V8, packages.V8_SUITE)
        sources.fetch(wanted, files)
        debian.unpack([files / package.file_name for package in wanted], draft)
    draft.rename(target)
    for leftover in (cache / "v8-apt", files):
        shutil.rmtree(leftover)
    return target


def _fingerprint(*names: str) -> str:
    return hashlib.sha256(b"".join((_HERE / name).read_bytes() for name in names)).hexdigest()[:16]


def _fetch(cache: pathlib.Path) -> dict:
    """Fetches all package files. Returns them by purpose."""
    own = host.debian_codename()
    suites = dict.fromkeys([packages.BAZEL_SUITE, packages.RUNSC_SUITE, own])
    sources = debian.Debian(cache / "apt", suites, packages.ASSUMED)
    gnu = host.arch().gnu.replace("_", "-")
    gvisor = {name.format(gnu=gnu): version for name, version in packages.RUNSC_BUILD.items()}
    with step(f"reading Debian's package lists ({', '.join(suites)})"):
        sources.update()
        java = sources.first(packages.JAVA, packages.BAZEL_SUITE)
        go = sources.first(packages.GO, own)
        wanted = {
            "bazel": sources.closure({**packages.BAZEL, java: ""}, packages.BAZEL_SUITE),
            "libraries": sources.exactly(packages.HOST, own),
            "runsc": sources.exactly(packages.RUNSC, packages.RUNSC_SUITE),
            "gvisor": sources.exactly(gvisor, packages.RUNSC_SUITE),
            "go": sources.exactly({go: "", go[: -len("go")] + "src": ""}, own),
            "base": sources.exactly(packages.BASE, own),
        }
    folder = cache / "debs"
    every = [package for group in wanted.values() for package in group]
    with step(f"fetching {len(every)} packages (about 370 MB, those not fetched before)"):
        sources.fetch(every, folder)
        sources.fetch_files(packages.RUNSC_SOURCE_FOLDER, packages.RUNSC_SOURCE, folder)
    files = {group: [folder / package.file_name for package in found] for group, found in wanted.items()}
    files["gvisor"] += [folder / name for name in packages.RUNSC_SOURCE]
    return files


def _unpack_in_parallel(pool, files: dict, system: pathlib.Path) -> None:
    places = {"bazel": "root", "libraries": "libraries", "runsc": "runsc", "go": "go"}
    work = [([file], system / place) for group, place in places.items() for file in files[group]]
    # Creates the folders that all packages share before they are unpacked in parallel.
    for place in places.values():
        debian.unpack([], system / place)
    for done in [pool.submit(debian.unpack, *job) for job in work]:
        done.result()


def _keep(files: list, folder: pathlib.Path) -> None:
    """Copies the files that Bazel itself unpacks: for images, and to build gVisor."""
    folder.mkdir()
    for file in files:
        shutil.copy(file, folder)


def _cargo_bazel(source: pathlib.Path, cache: pathlib.Path, rust: host.Rust) -> pathlib.Path:
    folder = crates.folder(source, cache, rust)
    if not crates.is_built(folder):
        with step("building cargo-bazel, which reads Cargo.lock for Bazel (once for each Rust version)"):
            crates.build(folder, source, rust)
    return folder


def _module_files() -> list:
    """Returns the module files of this workspace and of the consumer workspace."""
    return [file for file in (_WORKSPACE / "MODULE.bazel", _WORKSPACE / "tools/consumer_test/MODULE.bazel") if file.exists()]


def _write_rust_repositories(target: pathlib.Path, rust: host.Rust) -> None:
    """Writes the two repositories that rules_rust would download, with the machine's Rust."""
    template = (_HERE / "toolchain/rust.BUILD.bazel").read_text()
    # rustup's minimal profile has no rustfmt.
    if (rust.sysroot / "bin/rustfmt").exists():
        template += "\n" + (_HERE / "toolchain/rustfmt.BUILD.bazel").read_text()
    build = template.replace("{triple}", rust.triple).replace("{cpu}", rust.triple.split("-")[0])
    _write_repository(target / "rust_toolchains", build)
    (target / "rust_toolchains/sysroot").symlink_to(rust.sysroot)
    _write_repository(target / "rust_host_tools", 'exports_files(["bin/cargo", "bin/rustc"])\n')
    (target / "rust_host_tools/bin").symlink_to(rust.sysroot / "bin")
    # Never run: crate_universe would download it to format a file that only vendoring writes.
    _write_repository(target / "buildifier", 'exports_files(["file/buildifier"])\n')


def _write_repository(folder: pathlib.Path, build: str) -> None:
    folder.mkdir()
    (folder / "REPO.bazel").touch()
    (folder / "BUILD.bazel").write_text(build)


def _write_bazelrc(
    cache: pathlib.Path, target: pathlib.Path, system: pathlib.Path, v8: pathlib.Path, cargo_bazel: pathlib.Path
) -> None:
    go = next((system / "go/usr/lib").glob("go-*/bin/go"))
    text = f"""\
        # Modules come from Debian's rule packages and the stand-ins beside this file.
        common --registry=file://{target}/registry
        common --check_direct_dependencies=off
        common --noenable_workspace
        # Rust, Cargo and cargo-bazel are the machine's own.
        common --override_repository=rules_rust~~rust~rust_toolchains={target}/rust_toolchains
        common --override_repository=rules_rust~~rust_host_tools~rust_host_tools={target}/rust_host_tools
        common --override_repository=rules_rust~~i~cargo_bazel.buildifier-linux-{host.arch().debian}={target}/buildifier
        common --repo_env=CARGO_BAZEL_GENERATOR_URL=file://{cargo_bazel}/bin/cargo-bazel
        common --repo_env=CARGO_HOME={cargo_bazel}/cargo-home
        # third_party/runsc builds gVisor from these, and uses Debian's build if asked for the stock one.
        common --repo_env=ROMA_GVISOR_PREPARED={system}/gvisor
        common --repo_env=ROMA_RUNSC_PREPARED={system}/runsc/usr/bin/runsc
        # third_party/go uses this Go if there is none on PATH.
        common --repo_env=ROMA_GO_PREPARED={go}
        # third_party/v8 uses this V8 if V8_SYSROOT names no other.
        common --repo_env=ROMA_V8_PREPARED={v8}
        # third_party/debian uses these packages for base images.
        common --repo_env=ROMA_DEBIAN_PREPARED={system}/base
        # All clones share what they have built.
        common --disk_cache={cache}/disk
        """
    (target / "bazelrc").write_text(textwrap.dedent(text))


def _write_start(target: pathlib.Path, root: pathlib.Path, rust: host.Rust) -> None:
    """Runs the new Bazel once and, if that succeeds, writes the program that starts it."""
    bazel, java = root / "usr/bin/bazel", relocate.java(root)
    version = output([bazel, "--nosystem_rc", f"--install_base={root}/usr/share/bazel", "--trust_install_base", "--version"])
    if (_WORKSPACE / ".bazelversion").read_text().strip() not in version:
        raise Problem(f"Debian's Bazel is {version.strip()}, and .bazelversion asks for another")
    flags = [
        "--nosystem_rc",
        f"--install_base={root}/usr/share/bazel",
        "--trust_install_base",
        f"--server_javabase={java}",
        "--host_jvm_args=--enable-native-access=ALL-UNNAMED",
        "--host_jvm_args=--sun-misc-unsafe-memory-access=allow",
        f"--host_jvm_args=-Djavax.net.ssl.trustStore={target}/certificates.jks",
        f"--host_jvm_args=-Djavax.net.ssl.trustStorePassword={trust.PASSWORD}",
        f"--bazelrc={target}/bazelrc",
    ]
    write_start(target / "start", [bazel, *flags], [bazel, java / "bin/java", rust.sysroot / "bin/rustc"])
    say(f"Bazel {version.split()[-1]} is ready in {target}")


def write_start(start: pathlib.Path, command: list, needs: list) -> None:
    """Writes, atomically, the program that later calls of tools/bazel run."""
    words = " \\\n    ".join(shlex.quote(str(word)) for word in command)
    tests = " && ".join(f"[ -x {shlex.quote(str(file))} ]" for file in needs)
    draft = start.with_suffix(".new")
    draft.parent.mkdir(parents=True, exist_ok=True)
    draft.write_text(f'#!/bin/sh\nif [ "${{1:-}}" = --check ]; then\n    {tests}\n    exit\nfi\nexec {words} "$@"\n')
    draft.chmod(0o755)
    draft.rename(start)
