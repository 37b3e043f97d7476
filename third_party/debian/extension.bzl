"""The packages of Debian for base images, as `tools/bazel` prepared them.

With another Bazel, `DEBIAN_PACKAGES` is empty, and the base images are distroless.
"""

def _debian_repository_impl(repository_ctx):
    folder = repository_ctx.getenv("ROMA_DEBIAN_PREPARED")
    files = [file for file in repository_ctx.path(folder).readdir() if file.basename.endswith(".deb")] if folder else []
    packages = []
    for file in files:
        name = file.basename.split("_")[0]
        repository_ctx.symlink(file, name + ".deb")
        packages.append(name)
    repository_ctx.file("packages.bzl", '"""The available packages."""\n\nDEBIAN_PACKAGES = %s\n' % sorted(packages))
    repository_ctx.file("BUILD.bazel", "exports_files(%s)\n" % [name + ".deb" for name in sorted(packages)])

_debian_repository = repository_rule(
    implementation = _debian_repository_impl,
    doc = "Makes a repository with package files of Debian, and `packages.bzl`, which lists them.",
    environ = ["ROMA_DEBIAN_PREPARED"],
)

def _debian_impl(_module_ctx):
    _debian_repository(name = "debian")

debian = module_extension(
    implementation = _debian_impl,
    doc = "Makes `@debian`.",
)
