"""The distroless base images, pinned by digest."""

load("@rules_oci//oci:pull.bzl", "oci_pull")
load("//bzl/private:users.bzl", _get_user = "get_user")  # buildifier: disable=bzl-visibility

visibility("public")

# A former place of this name: load it from `//bzl:defs.bzl` instead.
get_user = _get_user

_REPOSITORY = "gcr.io/distroless/cc-debian12"

# To bump: take all of them from the same day.
_DISTROLESS = {
    "distroless-debug-nonroot-amd64": "sha256:0a8aecaca4eec99be3b8034bcbd4a7541c6dc27c5a1eb9c80b0ba2f597c1e3f1",
    "distroless-debug-nonroot-arm64": "sha256:e5e85d96a09bef71cf1b6a1b21eadfb7d64f5e1c9bd4222d6762f7464f0e72f4",
    "distroless-debug-root-amd64": "sha256:5d6d0b2f650f41ec0ed490f7b12f3e326af5964517a8a8dc8c65e9dfa4bd8008",
    "distroless-debug-root-arm64": "sha256:11e03b8351fa3dc15cea2a97a3484617adeadab37045f77d5328046f0fbd9544",
    "distroless-nonroot-amd64": "sha256:acf6c2fe4179cd5da18bcf433f0b62467c40f2a42dc821c08cc4ce2f7037813b",
    "distroless-nonroot-arm64": "sha256:4e6bf5546fc17c9d434b3975daa5dbdb0e4411db4db5e96b122ba8f697f14810",
    "distroless-root-amd64": "sha256:dc7acdb6300eaa99ae93621b0f033237ae1284fdd5ab323b4d90ba8359c55854",
    "distroless-root-arm64": "sha256:b97c1911753fbbdf557e5994a5930de9233f9eec7fd0b773f6624c77b01b76db",
}

def container_deps():
    """Makes the repositories of distroless images.

    Only a workspace without modules needs this; `bazel_dep(name = "roma")` makes them by itself.
    """
    for name, digest in _DISTROLESS.items():
        oci_pull(
            name = name,
            digest = digest,
            image = _REPOSITORY,
        )

def _distroless_impl(_module_ctx):
    container_deps()

distroless = module_extension(
    implementation = _distroless_impl,
    doc = "Makes the repositories of distroless images.",
)
