"""Rules for container images: `load("@rules_oci//oci:defs.bzl", "oci_image", "oci_image_index", "oci_load")`."""

load("@bazel_skylib//lib:types.bzl", "types")
load("@bazel_skylib//rules:write_file.bzl", "write_file")
load("//oci/private:image.bzl", "oci_digest", _oci_image = "oci_image")
load("//oci/private:image_index.bzl", _oci_image_index = "oci_image_index")
load("//oci/private:load.bzl", _oci_load = "oci_load")
load("//oci/private:unavailable.bzl", _oci_push = "oci_push")

oci_image_rule = _oci_image
oci_image_index_rule = _oci_image_index
oci_push_rule = _oci_push
oci_tarball_rule = _oci_load

# The attributes that a macro passes to its helper targets.
_COMMON_ATTRIBUTES = [
    "compatible_with",
    "deprecation",
    "exec_compatible_with",
    "exec_properties",
    "features",
    "restricted_to",
    "tags",
    "target_compatible_with",
    "testonly",
    "toolchains",
    "visibility",
]

def _common(kwargs):
    return {name: kwargs[name] for name in _COMMON_ATTRIBUTES if name in kwargs}

def _write(name, kind, lines, kwargs):
    """Makes a file of `lines` for the attribute `kind` of the target `name`; returns its label."""
    label = "{}_write_{}".format(name, kind)
    write_file(
        name = label,
        out = "{}.{}.txt".format(name, kind),
        content = lines,
        **_common(kwargs)
    )
    return label

def _pairs(name, kind, value, kwargs):
    if not types.is_dict(value):
        return value
    return _write(name, kind, ["{}={}".format(key, text) for key, text in value.items()], kwargs)

def _arguments(name, kind, value, kwargs):
    if not types.is_list(value):
        return value

    # Each line is an argument, so a newline in an argument is encoded.
    return _write(name, kind, [argument.replace("\n", "%5Cn") for argument in value], kwargs)

def _names(name, kind, value, kwargs):
    if not types.is_list(value):
        return value
    return _write(name, kind, [",".join(value)], kwargs)

def _lines(name, kind, value, kwargs):
    return _write(name, kind, value, kwargs) if types.is_list(value) else value

def _digest(name, kwargs):
    oci_digest(
        name = name + ".digest",
        image = name,
        index = name + "_index.json",
        digest = name + ".json.sha256",
        **_common(kwargs)
    )

def oci_image(
        name,
        created = None,
        labels = None,
        annotations = None,
        env = None,
        cmd = None,
        entrypoint = None,
        exposed_ports = None,
        volumes = None,
        **kwargs):
    """Builds a container image: a directory in the OCI image layout.

    Also makes the target `[name].digest`, a file with the image's digest.

    Args:
        name: the name of the image's target
        created: a file with the time at which the image was made
        labels: a dictionary, or a file with a `name=value` per line
        annotations: a dictionary, or a file with a `name=value` per line
        env: a dictionary, or a file with a `NAME=value` per line, that may refer to the base image's variables
        cmd: a list, or a file with an argument per line
        entrypoint: a list, or a file with an argument per line
        exposed_ports: a list, or a file with ports separated by commas
        volumes: a list, or a file with directories separated by commas
        **kwargs: the other attributes of [oci_image_rule](#oci_image_rule)
    """
    oci_image_rule(
        name = name,
        created = created,
        labels = _pairs(name, "labels", labels, kwargs),
        annotations = _pairs(name, "annotations", annotations, kwargs),
        env = _pairs(name, "env", env, kwargs),
        cmd = _arguments(name, "cmd", cmd, kwargs),
        entrypoint = _arguments(name, "entrypoint", entrypoint, kwargs),
        exposed_ports = _names(name, "exposed_ports", exposed_ports, kwargs),
        volumes = _names(name, "volumes", volumes, kwargs),
        **kwargs
    )
    _digest(name, kwargs)

def oci_image_index(name, **kwargs):
    """Joins images of several platforms into one: a directory in the OCI image layout.

    Also makes the target `[name].digest`, a file with the image's digest.

    Args:
        name: the name of the image's target
        **kwargs: the attributes of [oci_image_index_rule](#oci_image_index_rule)
    """
    oci_image_index_rule(name = name, **kwargs)
    _digest(name, kwargs)

def oci_load(name, repo_tags = None, **kwargs):
    """Loads an image into docker, podman or nerdctl with `bazel run`.

    Args:
        name: the name of the target
        repo_tags: the names to give to the image: a list, or a file with one per line
        **kwargs: the other attributes of the rule: `image`, `format`, `loader`
    """
    oci_tarball_rule(
        name = name,
        repo_tags = _lines(name, "tags", repo_tags, kwargs),
        **kwargs
    )

def oci_push(name, remote_tags = None, **kwargs):
    """Stands in for the rule that pushes an image to a registry. To build or run it is an error.

    Args:
        name: the name of the target
        remote_tags: the tags to give to the image: a list, or a file with one per line
        **kwargs: the other attributes of [oci_push_rule](#oci_push_rule)
    """
    oci_push_rule(
        name = name,
        remote_tags = _lines(name, "tags", remote_tags, kwargs),
        **kwargs
    )
