"""Stand-ins for the parts of rules_oci that cannot work without a registry."""

_WHAT_TO_DO = "build where the Bazel Central Registry and the image's registry can be reached, with the real rules_oci"

def _oci_push_impl(ctx):
    fail("{} cannot be built: oci_push needs a container registry, which the stand-in for rules_oci does not reach. {}".format(
        ctx.label,
        "To push, {}; or load the image with oci_load and push it with docker or podman.".format(_WHAT_TO_DO),
    ))

oci_push = rule(
    implementation = _oci_push_impl,
    doc = "Fails: pushing needs a registry.",
    attrs = {
        "image": attr.label(doc = "The oci_image or oci_image_index.", allow_single_file = True, mandatory = True),
        "repository": attr.string(doc = "The repository to push to."),
        "repository_file": attr.label(doc = "The same as `repository`, in a file.", allow_single_file = True),
        "remote_tags": attr.label(doc = "A file with tags, one per line.", allow_single_file = True),
    },
    executable = True,
)

def _pulled_image_impl(ctx):
    fail("The image {} is not available as @{}: the stand-in for rules_oci does not pull from registries. {}".format(
        ctx.attr.image,
        ctx.label.name,
        "Either {}, or use another base: a layout directory copied with `skopeo copy`, or none.".format(_WHAT_TO_DO),
    ))

pulled_image = rule(
    implementation = _pulled_image_impl,
    doc = "Stands in for an image in a registry. Fails when it is built.",
    attrs = {"image": attr.string(doc = "The image's name, for the error.", mandatory = True)},
)

def _pulled_image_repository_impl(rctx):
    rctx.file("BUILD.bazel", """\
load({rules}, "pulled_image")

pulled_image(
    name = {name},
    image = {image},
    visibility = ["//visibility:public"],
)
""".format(
        rules = repr(str(Label(":unavailable.bzl"))),
        name = repr(rctx.attr.target_name),
        image = repr(rctx.attr.image),
    ))

pulled_image_repository = repository_rule(
    implementation = _pulled_image_repository_impl,
    doc = """\
A repository for an image in a registry.

It can be loaded and queried, so a workspace that names images still builds targets that do not need them. Only
building with the image is an error.
""",
    attrs = {
        "target_name": attr.string(doc = "The name of the repository's only target.", mandatory = True),
        "image": attr.string(doc = "The image's name, for the error.", mandatory = True),
    },
)
