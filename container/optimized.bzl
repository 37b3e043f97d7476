"""Programs for images: optimised, whatever the compilation mode of the build."""

visibility(["//container/..."])

def _optimized_transition_impl(_settings, _attr):
    return {"//command_line_option:compilation_mode": "opt"}

_optimized_transition = transition(
    implementation = _optimized_transition_impl,
    inputs = [],
    outputs = ["//command_line_option:compilation_mode"],
)

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
    return [DefaultInfo(executable = output, files = depset([output]))]

optimized = rule(
    implementation = _optimized_impl,
    doc = "Builds a program with optimisation and without symbols.",
    attrs = {
        "program": attr.label(
            doc = "The program.",
            cfg = _optimized_transition,
            executable = True,
            mandatory = True,
        ),
        "_allowlist_function_transition": attr.label(default = "@bazel_tools//tools/allowlists/function_transition_allowlist"),
    },
    executable = True,
)
