"""V8: its headers, its library, and the libraries that that links. The first of these is used:

1. the folder that the variable V8_SYSROOT names: a `/` with `usr/include/node` (or `usr/include/v8`), `libnode.so`
   and all libraries that it links, among them the C library and its loader;
2. the one that `tools/bazel` prepared from Debian's packages.

If there is none, V8_FOUND is false, and the engine for JavaScript is left out.
"""

_BUILD = """\
load("@rules_cc//cc:defs.bzl", "cc_import", "cc_library")

package(default_visibility = ["@roma//third_party/v8:__pkg__"])

cc_import(
    name = "library",
    shared_library = "lib/libnode.so",
)

cc_library(
    name = "v8",
    hdrs = glob(["include/**/*.h"]),
    includes = ["include"],
    deps = [":library"],
)

filegroup(
    name = "runtime",
    srcs = glob(["lib/*"], exclude = ["lib/libnode.so"]),
)
"""

_NONE = """\
package(default_visibility = ["@roma//third_party/v8:__pkg__"])

cc_library(name = "v8")

filegroup(name = "runtime")
"""

# Debian's names of the folder with libraries, and of the loader.
_GNU = {"aarch64": "aarch64-linux-gnu", "amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu", "x86_64": "x86_64-linux-gnu"}
_LOADER = {"aarch64-linux-gnu": "ld-linux-aarch64.so.1", "x86_64-linux-gnu": "ld-linux-x86-64.so.2"}

def _needed(repository_ctx, loader, folder):
    """Returns the files of all libraries that libnode links, by the names under which they are asked for."""
    library = folder.get_child("libnode.so").realpath
    done = repository_ctx.execute([loader, "--library-path", folder, "--list", library])
    if done.return_code != 0:
        fail("the libraries of %s are not complete: %s" % (library, done.stderr.strip()))
    files = {library.basename: library}
    for line in done.stdout.splitlines():
        name, arrow, rest = line.strip().partition(" => ")
        if arrow:
            path = repository_ctx.path(rest.rsplit(" (", 1)[0])
            if path.dirname != folder:
                fail("%s is not in %s: all that V8 links has to be there" % (name, folder))
            files[name] = path.realpath
    return files

def _v8_repository_impl(repository_ctx):
    root = repository_ctx.getenv("V8_SYSROOT") or repository_ctx.getenv("ROMA_V8_PREPARED")
    repository_ctx.file("found.bzl", '"""Whether V8 is available."""\n\nV8_FOUND = %s\n' % bool(root))
    if not root:
        repository_ctx.file("BUILD.bazel", _NONE)
        return
    gnu = _GNU[repository_ctx.os.arch]
    usr = repository_ctx.path(root).get_child("usr")
    headers = [usr.get_child("include", name) for name in ["node", "v8"]]
    headers = [folder for folder in headers if folder.get_child("v8.h").exists]
    if not headers:
        fail("%s has neither usr/include/node/v8.h nor usr/include/v8/v8.h" % root)
    folder = usr.get_child("lib", gnu)
    loader = folder.get_child(_LOADER[gnu])
    repository_ctx.symlink(headers[0], "include")
    repository_ctx.symlink(folder.get_child("libnode.so").realpath, "lib/libnode.so")
    repository_ctx.symlink(loader.realpath, "lib/" + loader.basename)
    for name, path in _needed(repository_ctx, loader, folder).items():
        repository_ctx.symlink(path, "lib/" + name)
    repository_ctx.file("BUILD.bazel", _BUILD)

_v8_repository = repository_rule(
    implementation = _v8_repository_impl,
    doc = "Makes a repository with V8, if there is one, and `found.bzl`, which tells whether there is.",
    environ = ["ROMA_V8_PREPARED", "V8_SYSROOT"],
)

def _v8_impl(_module_ctx):
    _v8_repository(name = "v8")

v8 = module_extension(
    implementation = _v8_impl,
    doc = "Makes `@v8`. Use it as `//third_party/v8`.",
)
