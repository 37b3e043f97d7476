"""A former name of `//bzl:defs.bzl`. Load that file instead; this one is kept for existing workspaces."""

load(
    "//bzl/private:container.bzl",
    _roma_byob_image = "roma_byob_image",
    _roma_byob_layers = "roma_byob_layers",
    _roma_container_dir = "roma_container_dir",
    _roma_container_root_dir = "roma_container_root_dir",
    _roma_image = "roma_image",
)

visibility("public")

roma_byob_image = _roma_byob_image
roma_byob_layers = _roma_byob_layers
roma_container_dir = _roma_container_dir
roma_container_root_dir = _roma_container_root_dir
roma_image = _roma_image
