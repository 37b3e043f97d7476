"""Rules that build runsc and run the unit tests of gVisor's packages. `build/` does the work."""

load("//bzl:opt_mode.bzl", "opt_mode")

visibility(["//third_party/runsc/..."])

_INPUTS = {
    "debian": attr.label(doc = "Debian's changes to the source.", allow_single_file = True, mandatory = True),
    "original": attr.label(doc = "Upstream's source.", allow_single_file = True, mandatory = True),
    "packages": attr.label(doc = "Debian packages: the compilers, and gVisor's dependencies.", mandatory = True),
    "patches": attr.label_list(doc = "Our changes, in their order.", allow_files = [".patch"]),
    "_build": attr.label(default = "//third_party/runsc:build_files", allow_files = True),
}

def _inputs(ctx):
    attr = ctx.files
    return depset(attr.original + attr.debian + attr.packages + attr.patches + attr._build)

def _words(ctx, name):
    """Returns the words of the command, with the files' paths by this function's attribute."""
    path = lambda file: getattr(file, name)
    main = [file for file in ctx.files._build if file.basename == "__main__.py"][0]
    words = ["-B", path(main), "--original", path(ctx.file.original), "--debian", path(ctx.file.debian)]
    for package in ctx.files.packages:
        words += ["--package", path(package)]
    for patch in ctx.files.patches:
        words += ["--patch", path(patch)]
    return words

def _resources(_os, _inputs_size):
    return {"cpu": 2, "memory": 2000}

def _runsc_binary_impl(ctx):
    output = ctx.actions.declare_file(ctx.label.name + "/runsc")
    ctx.actions.run(
        executable = "python3",
        arguments = _words(ctx, "path") + ["build", "--output", output.path],
        inputs = _inputs(ctx),
        outputs = [output],
        mnemonic = "BuildRunsc",
        progress_message = "Building runsc from gVisor's source (about a minute, once)",
        resource_set = _resources,
        use_default_shell_env = True,
    )
    return [DefaultInfo(executable = output, files = depset([output]))]

runsc_binary = rule(
    implementation = _runsc_binary_impl,
    doc = "Builds runsc from source: static, stripped, and the same file wherever it is built.",
    attrs = _INPUTS | {
        "_allowlist_function_transition": attr.label(default = "@bazel_tools//tools/allowlists/function_transition_allowlist"),
    },
    # Go's build does not depend on the compilation mode: one file serves all.
    cfg = opt_mode,
    executable = True,
)

def _gvisor_unit_test_impl(ctx):
    words = _words(ctx, "short_path") + ["test"]
    for file in ctx.files.srcs:
        words += ["--file", "%s=%s" % (ctx.attr.where[file.basename], file.short_path)]
    script = ctx.actions.declare_file(ctx.label.name)
    words = ["'%s'" % word for word in words + ctx.attr.tested]
    ctx.actions.write(script, "#!/bin/sh\nexec python3 %s\n" % " ".join(words), is_executable = True)
    runfiles = ctx.runfiles(ctx.files.srcs, transitive_files = _inputs(ctx))
    return [DefaultInfo(executable = script, runfiles = runfiles)]

gvisor_unit_test = rule(
    implementation = _gvisor_unit_test_impl,
    doc = "Runs `go test` for packages of gVisor, with more files of tests.",
    attrs = _INPUTS | {
        "srcs": attr.label_list(doc = "More files of tests.", allow_files = [".go"]),
        "tested": attr.string_list(doc = "The packages, below gvisor.dev/gvisor.", mandatory = True),
        "where": attr.string_dict(doc = "The package of each file in `srcs`, by the file's name."),
    },
    test = True,
)
