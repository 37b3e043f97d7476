"""The rule behind oci_image_index."""

load(":image.bzl", "OCITOOL")

def _platforms_transition_impl(_settings, attr):
    return [{"//command_line_option:platforms": str(platform)} for platform in attr.platforms]

# Builds the image once for each platform, or unchanged if there are none.
_platforms_transition = transition(
    implementation = _platforms_transition_impl,
    inputs = [],
    outputs = ["//command_line_option:platforms"],
)

def _oci_image_index_impl(ctx):
    # The transition makes an image for each platform.
    if ctx.attr.platforms and len(ctx.attr.images) != len(ctx.attr.platforms):
        fail("platforms can only be specified when there is exactly one image in the images attribute.")

    output = ctx.actions.declare_directory(ctx.label.name)
    args = ctx.actions.args()
    args.add("index")
    args.add_all("--output", [output], expand_directories = False)
    args.add_all(ctx.files.images, before_each = "--image", expand_directories = False)
    ctx.actions.run(
        executable = ctx.executable._ocitool,
        arguments = [args],
        inputs = ctx.files.images,
        outputs = [output],
        mnemonic = "OCIIndex",
        progress_message = "OCI Index %{label}",
        use_default_shell_env = True,
    )
    return [DefaultInfo(files = depset([output]))]

oci_image_index = rule(
    implementation = _oci_image_index_impl,
    doc = "Joins images of several platforms into one: a directory in the OCI image layout.",
    attrs = {
        "images": attr.label_list(
            doc = "The images: one for each platform, or a single one with `platforms`.",
            mandatory = True,
            cfg = _platforms_transition,
        ),
        "platforms": attr.label_list(
            doc = "The platforms to build the only entry of `images` for.",
            providers = [platform_common.PlatformInfo],
        ),
        "_allowlist_function_transition": attr.label(
            doc = "Bazel requires this of a rule with a transition.",
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
    } | OCITOOL,
)
