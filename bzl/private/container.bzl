"""Container images with Roma in them, and the places of Roma's files in their layers."""

load("@bazel_skylib//rules:copy_file.bzl", "copy_file")
load("@rules_oci//oci:defs.bzl", "oci_image", "oci_load")
load(":container_structure_test.bzl", "container_structure_test")
load(":users.bzl", "get_user")

visibility(["//bzl"])

# The folder of what runs inside the sandbox, and the name of the sandbox's root in it.
roma_container_dir = "/roma_container"
roma_container_root_dir = "rootfs"

_COMMON = ["tags", "testonly", "target_compatible_with", "visibility"]

def roma_image(
        name,
        repo_tags,
        base = None,
        debug = False,
        user = get_user("root"),
        container_structure_test_configs = [],
        _size = "medium",
        _shard_count = 1,
        **kwargs):
    """Makes an image, and the targets that load and test it.

    Beside the image `name` it makes `<name>_tar`, which `bazel run` loads into podman or Docker; `<name>.tar`, the
    file that is loaded; and `<name>_test`, if there are test files.

    Args:
        name: the name of the image's target.
        repo_tags: the names to load it under.
        base: the image to build upon. By default a small one with libc and libstdc++, for this user.
        debug: whether the default base has a shell.
        user: the user that its programs run as: `get_user("root")` or `get_user("nonroot")`.
        container_structure_test_configs: YAML files with tests, see `container_structure_test`.
        _size: the size of `<name>_test`.
        _shard_count: its number of shards.
        **kwargs: the other attributes of `oci_image`.
    """
    common = {key: kwargs[key] for key in _COMMON if key in kwargs}
    oci_image(
        name = name,
        base = base or Label("//container/base:%s%s" % ("debug_" if debug else "", user.flavor)),
        user = "%d:%d" % (user.uid, user.gid),
        **kwargs
    )
    oci_load(
        name = name + "_tar",
        image = name,
        repo_tags = repo_tags,
        **common
    )
    native.filegroup(
        name = name + "_archive",
        srcs = [name + "_tar"],
        output_group = "tarball",
        **common
    )
    copy_file(
        name = name + "_tar_file",
        src = name + "_archive",
        out = name + ".tar",
        # The file is as large as the image, and seldom needed.
        allow_symlink = True,
        **(common | {"tags": common.get("tags", []) + ["manual"]})
    )
    if container_structure_test_configs:
        container_structure_test(
            name = name + "_test",
            configs = container_structure_test_configs,
            image = name,
            size = _size,
            shard_count = _shard_count,
            **common
        )

def roma_byob_image(
        name,
        repo_tags,
        user = get_user("root"),
        tars = [],
        container_structure_test_configs = [],
        **kwargs):
    """Makes an image with the layers that Roma needs, for a server that embeds it.

    Its tests include the tests of these layers.

    Args:
        name: the name of the image's target.
        repo_tags: the names to load it under.
        user: the user that its programs run as: `get_user("root")` or `get_user("nonroot")`.
        tars: additional layers, such as the server's.
        container_structure_test_configs: YAML files with tests, see `container_structure_test`.
        **kwargs: the other arguments of [roma_image](#roma_image).
    """
    roma_image(
        name = name,
        repo_tags = repo_tags,
        user = user,
        tars = roma_byob_layers(user) + tars,
        container_structure_test_configs = [
            Label("//container:image_%s_test.yaml" % user.flavor),
        ] + container_structure_test_configs,
        **kwargs
    )

def roma_byob_layers(user):
    """Returns the layers that Roma needs, for images that are not built with `roma_byob_image`.

    Args:
        user: the user that the image's programs run as: `get_user("root")` or `get_user("nonroot")`.

    Returns:
        the labels of tar files.
    """
    return [
        Label("//container:gvisor_tar_" + user.flavor),
        Label("//container:byob_server_container_with_dir_%s.tar" % user.flavor),
    ]
