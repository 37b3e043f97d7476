"""Compiler flags for a library that Bazel builds, for a compiler that Bazel does not run."""

load("@rules_cc//cc:defs.bzl", "CcInfo")

def _static_flags_impl(ctx):
    info = ctx.attr.dep[CcInfo]
    context = info.compilation_context
    folders = depset(transitive = [context.includes, context.system_includes, context.quote_includes])
    archives = [
        library.static_library or library.pic_static_library
        for input in info.linking_context.linker_inputs.to_list()
        for library in input.libraries
    ]
    files = ctx.actions.declare_file(ctx.label.name)
    lines = ["include %s" % _from_runfiles(folder) for folder in folders.to_list() if folder != "."]
    lines += ["archive %s" % archive.short_path for archive in archives if archive]
    ctx.actions.write(files, "".join([line + "\n" for line in lines]))
    runfiles = ctx.runfiles(
        [archive for archive in archives if archive],
        transitive_files = context.headers,
    )
    return [DefaultInfo(files = depset([files]), runfiles = runfiles)]

def _from_runfiles(folder):
    if folder.startswith("bazel-out/"):
        folder = "/".join(folder.split("/")[3:])
    return "../" + folder[len("external/"):] if folder.startswith("external/") else folder

static_flags = rule(
    implementation = _static_flags_impl,
    doc = "Folders of headers and archives of a C++ library, one a line, as seen from a test.",
    attrs = {"dep": attr.label(mandatory = True, providers = [CcInfo])},
)
