"""Container images with Roma in them: `roma_image`, `roma_byob_image`, and where the layers put things."""

load("@bazel_skylib//rules:copy_file.bzl", "copy_file")
load("@rules_oci//oci:defs.bzl", "oci_image", "oci_load")
load("//container/structure_test:defs.bzl", "container_structure_test")
load("//third_party:container_deps.bzl", "get_user")

# Where the layers put what runs inside the sandbox, and the name of its root in there.
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
    """An image, with what loads it and what tests it.

    Makes, beside the image `name`: `<name>_tar`, which `bazel run` loads into podman or Docker; `<name>.tar`, the
    file that is loaded; and `<name>_test`, if there is something to test.

    Args:
        name: the name of the image's target.
        repo_tags: the names to load it under.
        base: the image to build upon. By default a small one with libc and libstdc++, for this user.
        debug: whether that one has a shell.
        user: who its programs run as: `get_user("root")` or `get_user("nonroot")`.
        container_structure_test_configs: YAML files with tests, see `//container/structure_test`.
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
        # (as large as the image, and seldom needed)
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
    """An image with the layers that Roma needs, for a server that embeds it.

    The layers' own tests are always among the tests.

    Args:
        name: the name of the image's target.
        repo_tags: the names to load it under.
        user: who its programs run as: `get_user("root")` or `get_user("nonroot")`.
        tars: more layers: the server's.
        container_structure_test_configs: YAML files with tests, see `//container/structure_test`.
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
    """The layers that Roma needs, for images that are built by other means than `roma_byob_image`.

    Args:
        user: who its programs run as: `get_user("root")` or `get_user("nonroot")`.

    Returns:
        A list of labels of tar files.
    """
    return [
        Label("//container:gvisor_tar_" + user.flavor),
        Label("//container:byob_server_container_with_dir_%s.tar" % user.flavor),
    ]
