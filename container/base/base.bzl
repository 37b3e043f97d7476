"""What images are built upon."""

load("@debian//:packages.bzl", "DEBIAN_PACKAGES")
load("@rules_oci//oci:defs.bzl", "oci_image")

_LABELS = {
    "org.opencontainers.image.title": "roma-base",
    "org.opencontainers.image.description": "libc and libstdc++ of Debian, and nothing that runs by itself",
    "org.opencontainers.image.licenses": "see /usr/share/doc",
}

def base_image(name, user, debug):
    """An image to build upon.

    Args:
        name: its name.
        user: `root` or `nonroot`.
        debug: whether it has a shell.
    """
    if DEBIAN_PACKAGES:
        oci_image(
            name = name,
            architecture = select({
                "@platforms//cpu:aarch64": "arm64",
                "@platforms//cpu:x86_64": "amd64",
            }),
            env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
            labels = _LABELS,
            os = "linux",
            tars = [":debian_debug.tar" if debug else ":debian.tar"],
            user = user,
            workdir = "/",
        )
    else:
        distroless = "distroless-%s%s" % ("debug-" if debug else "", user)
        native.alias(
            name = name,
            actual = select({
                "@platforms//cpu:aarch64": "@%s-arm64" % distroless,
                "@platforms//cpu:x86_64": "@%s-amd64" % distroless,
            }),
        )

def debian_layer(name, out, what, packages, folder = None):
    """A file made of Debian's packages, where those are at hand.

    Args:
        name: the rule's name.
        out: the file.
        what: what it is: `root`, `libraries` or `sbom`, see debian.py.
        packages: the package files.
        folder: where libraries go.
    """
    options = "--folder %s " % folder if folder else ""
    native.genrule(
        name = name,
        srcs = packages,
        outs = [out],
        cmd = "$(execpath debian.py) %s --output $@ %s$(SRCS)" % (what, options),
        target_compatible_with = [] if DEBIAN_PACKAGES else ["@platforms//:incompatible"],
        tools = ["debian.py"],
    )
