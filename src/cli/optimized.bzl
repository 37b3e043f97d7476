"""Programs that people run: optimised, whatever the compilation mode of the build."""

load("//bzl:opt_mode.bzl", "opt_mode")

visibility(["//container/...", "//src/cli"])

def _optimized_impl(ctx):
    source = ctx.attr.program[0][DefaultInfo].files_to_run.executable
    output = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.run_shell(
        command = "strip -o $2 $1",
        arguments = [source.path, output.path],
        inputs = [source],
        outputs = [output],
        mnemonic = "Strip",
        use_default_shell_env = True,
    )
    return [
        DefaultInfo(
            executable = output,
            files = depset([output]),
            runfiles = ctx.runfiles([output] + ctx.files.data).merge_all([
                data[DefaultInfo].default_runfiles
                for data in ctx.attr.data
            ]),
        ),
        RunEnvironmentInfo({
            name: ctx.expand_location(value, ctx.attr.data)
            for name, value in ctx.attr.env.items()
        }),
    ]

optimized = rule(
    implementation = _optimized_impl,
    doc = "Builds a program, and what it runs, with optimisation. The program has no symbols.",
    attrs = {
        "data": attr.label_list(
            doc = "What `bazel run` puts where the program finds it: programs, which are optimised too, and files.",
            cfg = opt_mode,
            allow_files = True,
        ),
        "env": attr.string_dict(
            doc = "The environment for `bazel run`. `$(rootpath LABEL)` is the path of one of `data`.",
        ),
        "program": attr.label(
            doc = "The program. Its own `data` is not used.",
            cfg = opt_mode,
            executable = True,
            mandatory = True,
        ),
        "_allowlist_function_transition": attr.label(default = "@bazel_tools//tools/allowlists/function_transition_allowlist"),
    },
    executable = True,
)
