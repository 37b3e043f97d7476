"""`oci_pull`, which names an image in a registry. To use the image is an error: this stand-in reaches no registry."""

load("//oci/private:unavailable.bzl", "pulled_image_repository")

# The arguments are those of the real macro. This one does not use all of them.
# buildifier: disable=unused-variable
def oci_pull(
        name,
        image = None,
        repository = None,
        registry = None,
        platforms = None,
        digest = None,
        tag = None,
        registry_mirrors = [],
        reproducible = True,
        is_bzlmod = False,
        config = None,
        bazel_tags = []):
    """Makes the repositories of an image: `name`, and `name_os_architecture` for each of the platforms.

    Args:
        name: the repository to make
        image: the image with its registry; its tag or digest may follow
        repository: the image below its registry, together with `registry` instead of `image`
        registry: the registry
        platforms: the platforms of a multi-platform image, such as `linux/amd64`
        digest: the digest of the image
        tag: the tag of the image; either this or `digest` is needed
        registry_mirrors: not used here
        reproducible: not used here
        is_bzlmod: not used here
        config: not used here
        bazel_tags: not used here
    """
    if bool(image) == bool(repository and registry):
        fail("One of 'image' or '{registry, repository}' must be set")
    full_name = image or "{}/{}".format(registry, repository)
    if digest:
        full_name += "@" + digest
    elif tag:
        full_name += ":" + tag

    for repository_name in [name] + ["_".join([name] + platform.split("/")) for platform in platforms or []]:
        pulled_image_repository(
            name = repository_name,
            target_name = repository_name,
            image = full_name,
        )
