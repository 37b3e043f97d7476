"""What `//third_party/runsc` chooses from:

- `named`: the file that the variable ROMA_RUNSC names, which must be able to run a program inside gVisor;
- the source of gVisor and the compilers for it, as `tools/bazel` prepared them from Debian's packages;
- `stock`: Debian's build, if `tools/bazel` prepared it, or else gVisor's own release, pinned here by its checksum.
"""

# To bump: take a release, and the `.sha512` files of its two `runsc`, in base64.
_RELEASE = "20250820.0"
_RELEASE_URL = "https://storage.googleapis.com/gvisor/releases/release/{release}/{arch}/runsc"
_RELEASE_INTEGRITY = {
    "aarch64": "sha512-AnZ/JoKwiFWNVbKHRzLiZogD7uBmCGVKJ0KbLxdCi0aeo9Fm8NKB/Q4IHitX34blDepb2fsihtCO3BILJlFurQ==",
    "x86_64": "sha512-1sEqTLT3FL/Lpv1mEa1Mpz/Yjc55Cgg9LO2oB81+B0wBMdXdKjSQOZ6L6R/u2a/kUHk+lwjazdxK/Jnublw9Lg==",
}

_BUILD = """\
package(default_visibility = ["@roma//third_party/runsc:__subpackages__"])

exports_files({exported})

filegroup(
    name = "original",
    srcs = glob(["*.orig.tar.gz"], allow_empty = True),
)

filegroup(
    name = "debian",
    srcs = glob(["*.debian.tar.xz"], allow_empty = True),
)

filegroup(
    name = "packages",
    srcs = glob(["*.deb"], allow_empty = True),
)
"""

_FOUND = """\
\"""What there is.\"""

NAMED = {named}
SOURCE = {source}
"""

def _check(repository_ctx, runsc):
    """Fails unless the program can run another one inside gVisor."""
    command = [runsc, "--root=" + str(repository_ctx.path("state")), "--network=none", "--ignore-cgroups"]
    done = repository_ctx.execute(command + ["do", "/bin/true"], timeout = 30)
    if done.return_code != 0:
        # Without CAP_SYS_ADMIN, which root in a container may lack too.
        done = repository_ctx.execute(command + ["--rootless", "do", "/bin/true"], timeout = 30)
    repository_ctx.delete("state")
    if done.return_code != 0:
        fail("ROMA_RUNSC names %s, but `runsc do /bin/true` failed: %s" % (runsc, done.stderr.strip()[-500:]))

def _download(repository_ctx):
    arch = {"amd64": "x86_64"}.get(repository_ctx.os.arch, repository_ctx.os.arch)
    if arch not in _RELEASE_INTEGRITY:
        fail("gVisor has no release for %s" % arch)
    repository_ctx.download(
        url = _RELEASE_URL.format(release = _RELEASE, arch = arch),
        output = "stock/runsc",
        executable = True,
        integrity = _RELEASE_INTEGRITY[arch],
    )

def _runsc_repository_impl(repository_ctx):
    named = repository_ctx.getenv("ROMA_RUNSC")
    source = repository_ctx.getenv("ROMA_GVISOR_PREPARED")
    stock = repository_ctx.getenv("ROMA_RUNSC_PREPARED")
    exported = ["stock/runsc"]
    if named:
        _check(repository_ctx, named)
        repository_ctx.symlink(named, "named/runsc")
        exported.append("named/runsc")
    if source:
        for file in repository_ctx.path(source).readdir():
            repository_ctx.symlink(file, file.basename)
    if stock:
        repository_ctx.symlink(stock, "stock/runsc")
    elif not named:
        _download(repository_ctx)
    repository_ctx.file("found.bzl", _FOUND.format(named = bool(named), source = bool(source)))
    repository_ctx.file("BUILD.bazel", _BUILD.format(exported = exported))

_runsc_repository = repository_rule(
    implementation = _runsc_repository_impl,
    doc = "Makes a repository with a runsc or what one is built from, and `found.bzl`, which tells which.",
    environ = ["ROMA_GVISOR_PREPARED", "ROMA_RUNSC", "ROMA_RUNSC_PREPARED"],
)

def _runsc_impl(_module_ctx):
    _runsc_repository(name = "runsc")

runsc = module_extension(
    implementation = _runsc_impl,
    doc = "Makes `@runsc`. Use it as `//third_party/runsc`.",
)
