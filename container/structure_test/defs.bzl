"""A former name of `//bzl:defs.bzl`. Load that file instead; this one is kept for existing workspaces."""

load("//bzl:defs.bzl", _container_structure_test = "container_structure_test")

visibility("public")

container_structure_test = _container_structure_test
