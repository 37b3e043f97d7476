"""gVisor's `runsc`. The first of these is used:

1. the file that the variable ROMA_RUNSC names, which must be able to run a program inside gVisor;
2. `runsc` on PATH, if it can do so;
3. the one that `tools/bazel` prepared from Debian's packages, a build that is known to work;
4. gVisor's own release, pinned here by its checksum.
"""

# To bump: take a release, and the `.sha512` files of its two `runsc`, in base64.
_RELEASE = "20250820.0"
_RELEASE_URL = "https://storage.googleapis.com/gvisor/releases/release/{release}/{arch}/runsc"
_RELEASE_INTEGRITY = {
    "aarch64": "sha512-AnZ/JoKwiFWNVbKHRzLiZogD7uBmCGVKJ0KbLxdCi0aeo9Fm8NKB/Q4IHitX34blDepb2fsihtCO3BILJlFurQ==",
    "x86_64": "sha512-1sEqTLT3FL/Lpv1mEa1Mpz/Yjc55Cgg9LO2oB81+B0wBMdXdKjSQOZ6L6R/u2a/kUHk+lwjazdxK/Jnublw9Lg==",
}

_BUILD = """\
# {origin}
exports_files(
    ["runsc"],
    visibility = ["//visibility:public"],
)
"""

def _works(repository_ctx, runsc):
    """Runs a program inside gVisor. Returns the error, or an empty text."""
    command = [runsc, "--root=" + str(repository_ctx.path("state")), "--network=none", "--ignore-cgroups"]
    done = repository_ctx.execute(command + ["do", "/bin/true"], timeout = 30)
    if done.return_code != 0:
        # Without CAP_SYS_ADMIN, which root in a container may lack too.
        done = repository_ctx.execute(command + ["--rootless", "do", "/bin/true"], timeout = 30)
    repository_ctx.delete("state")
    return "" if done.return_code == 0 else "`runsc do /bin/true` failed: " + done.stderr.strip()[-500:]

def _use(repository_ctx, runsc, origin):
    repository_ctx.symlink(runsc, "runsc")
    repository_ctx.file("BUILD.bazel", _BUILD.format(origin = origin))

def _download(repository_ctx):
    arch = {"amd64": "x86_64"}.get(repository_ctx.os.arch, repository_ctx.os.arch)
    if arch not in _RELEASE_INTEGRITY:
        fail("gVisor has no release for %s" % arch)
    repository_ctx.download(
        url = _RELEASE_URL.format(release = _RELEASE, arch = arch),
        output = "runsc",
        executable = True,
        integrity = _RELEASE_INTEGRITY[arch],
    )
    repository_ctx.file("BUILD.bazel", _BUILD.format(origin = "gVisor's release %s" % _RELEASE))

def _runsc_repository_impl(repository_ctx):
    named = repository_ctx.getenv("ROMA_RUNSC")
    if named:
        problem = _works(repository_ctx, named)
        if problem:
            fail("ROMA_RUNSC names %s, but %s" % (named, problem))
        return _use(repository_ctx, named, "named by ROMA_RUNSC")
    found = repository_ctx.which("runsc")
    if found and not _works(repository_ctx, found):
        return _use(repository_ctx, found, "found on PATH")
    prepared = repository_ctx.getenv("ROMA_RUNSC_PREPARED")
    if prepared:
        return _use(repository_ctx, prepared, "prepared by tools/bazel")
    return _download(repository_ctx)

_runsc_repository = repository_rule(
    implementation = _runsc_repository_impl,
    doc = "Makes a repository with the file `runsc`.",
    environ = ["PATH", "ROMA_RUNSC", "ROMA_RUNSC_PREPARED"],
)

def _runsc_impl(_module_ctx):
    _runsc_repository(name = "runsc")

runsc = module_extension(
    implementation = _runsc_impl,
    doc = "Makes `@runsc//:runsc`. Use it as `//third_party/runsc`.",
)
