"""The module extension `oci`."""

load(":pull.bzl", "oci_pull")

_pull = tag_class(
    doc = "Names an image in a registry. To use it is an error, because this stand-in reaches no registry.",
    attrs = {
        "name": attr.string(doc = "The repository to make."),
        "image": attr.string(doc = "The image with its registry, without a tag."),
        "platforms": attr.string_list(doc = "The platforms of a multi-platform image, such as `linux/amd64`."),
        "digest": attr.string(doc = "The digest of the image."),
        "tag": attr.string(doc = "The tag of the image."),
        "reproducible": attr.bool(doc = "Not used here.", default = True),
        "config": attr.label(doc = "Not used here."),
        "bazel_tags": attr.string_list(doc = "Not used here."),
    },
)

_toolchains = tag_class(
    doc = "Accepted without effect: the stand-in needs no toolchains.",
    attrs = {"name": attr.string(doc = "Not used here.", default = "oci")},
)

def _oci_impl(module_ctx):
    for module in module_ctx.modules:
        for pull in module.tags.pull:
            oci_pull(
                name = pull.name,
                image = pull.image,
                platforms = pull.platforms,
                digest = pull.digest,
                tag = pull.tag,
            )

oci = module_extension(
    implementation = _oci_impl,
    doc = "Images in registries.",
    tag_classes = {
        "pull": _pull,
        "toolchains": _toolchains,
    },
)
