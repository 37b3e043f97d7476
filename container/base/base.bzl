"""The base images, and the layers of Debian's packages."""

load("@debian//:packages.bzl", "DEBIAN_PACKAGES")
load("@rules_oci//oci:defs.bzl", "oci_image")

visibility(["//container/base"])

_LABELS = {
    "org.opencontainers.image.title": "roma-base",
    "org.opencontainers.image.description": "libc and libstdc++ of Debian, and nothing that runs by itself",
    "org.opencontainers.image.licenses": "see /usr/share/doc",
}

def base_image(name, user, debug):
    """Makes a base image.

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
    """Makes a file from Debian's packages. Without them it is an incompatible target.

    Args:
        name: the rule's name.
        out: the name of the file.
        what: the kind of file: `root`, `libraries` or `sbom`, see debian.py.
        packages: the package files.
        folder: the folder of the libraries.
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
