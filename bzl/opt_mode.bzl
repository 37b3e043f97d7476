"""A transition to compilation with optimisation."""

visibility(["//src/cli", "//third_party/runsc"])

def _opt_mode_impl(_settings, _attr):
    return {"//command_line_option:compilation_mode": "opt"}

opt_mode = transition(
    implementation = _opt_mode_impl,
    inputs = [],
    outputs = ["//command_line_option:compilation_mode"],
)
