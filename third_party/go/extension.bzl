"""Go, for the samples in Go. The first of these is used:

1. the program that the variable ROMA_GO names;
2. `go` on PATH;
3. the one that `tools/bazel` prepared from Debian's packages.

If there is none, GO_FOUND is false, and the samples in Go are left out.
"""

def _go_repository_impl(repository_ctx):
    go = repository_ctx.getenv("ROMA_GO") or repository_ctx.which("go") or repository_ctx.getenv("ROMA_GO_PREPARED")
    if go:
        # Not a link, because Go would look for its library beside the link.
        repository_ctx.file("go", '#!/bin/sh\nexec "%s" "$@"\n' % go)
    repository_ctx.file("found.bzl", '"""Whether Go is available."""\n\nGO_FOUND = %s\n' % bool(go))
    exported = ["go"] if go else []
    repository_ctx.file("BUILD.bazel", "exports_files(%s)\n" % exported)

_go_repository = repository_rule(
    implementation = _go_repository_impl,
    doc = "Makes a repository with the program `go`, if there is one, and `found.bzl`, which tells whether there is.",
    environ = ["PATH", "ROMA_GO", "ROMA_GO_PREPARED"],
)

def _go_impl(_module_ctx):
    _go_repository(name = "go")

go = module_extension(
    implementation = _go_impl,
    doc = "Makes `@go`.",
)
