"""Images of the `roma` tool, one for each of its commands."""

load("//bzl:defs.bzl", "get_user", "roma_byob_image")

visibility(["//container/tools"])

# The default arguments of each.
TOOLS = {
    "bench": ["--mode", "gvisor"],
    "demo": ["--mode", "gvisor"],
    "shell": ["--proto", "/udf/sample.proto"],
    "traffic": ["--help"],
}

# GCP's Confidential Space grants these only to images with the label.
_LAUNCH_POLICY = {
    "tee.launch_policy.allow_capabilities": "true",
    "tee.launch_policy.allow_cgroups": "true",
    "tee.launch_policy.log_redirect": "always",
}

def tool_images(name):
    """Makes all images.

    Args:
        name: not used. The name of an image consists of its tool and its user.
    """
    for tool, cmd in TOOLS.items():
        for flavor in ["root", "nonroot"]:
            for debug in [False, True]:
                _tool_image(tool, cmd, flavor, debug)

def _tool_image(tool, cmd, flavor, debug):
    variant = flavor + ("_debug" if debug else "")
    roma_byob_image(
        name = "%s_%s" % (tool, variant),
        cmd = cmd,
        debug = debug,
        container_structure_test_configs = [":%s_test.yaml" % tool],
        entrypoint = ["/tools/roma", tool],
        env = {
            "PATH": "/tools:$PATH",
            "ROMA_ECHO_UDF": "/udf/echo_udf",
            "ROMA_FLOOR": "/tools/floor",
            "ROMA_HOSTILE_UDF": "/udf/hostile_udf",
            "ROMA_SAMPLE_UDF": "/udf/sample_udf",
        },
        labels = _LAUNCH_POLICY | {
            "org.opencontainers.image.title": "roma-" + tool,
            "org.opencontainers.image.licenses": "Apache-2.0",
        },
        repo_tags = ["roma/%s:%s" % (tool, variant.replace("_", "-"))],
        tars = [":layer"],
        user = get_user(flavor),
    )
