"""The rule behind oci_image, and the one behind its `.digest` target."""

_TAR_EXTENSIONS = [".tar", ".tgz", ".tar.gz", ".tzst", ".tar.zst"]

# The program that builds and packs images, for all rules of this module.
OCITOOL = {
    "_ocitool": attr.label(
        doc = "The image builder.",
        default = Label("//oci/private:ocitool.py"),
        allow_single_file = True,
        executable = True,
        cfg = "exec",
    ),
}

# The attributes that are files with settings. The builder has options of the same names.
_SETTINGS = {
    "created": "A file with the time at which the image was made, in RFC 3339 form. By default 1970-01-01T00:00:00Z.",
    "entrypoint": "A file with the program to start and its first arguments, one per line. Drops the base image's `cmd`.",
    "cmd": "A file with the arguments that a user may replace, one per line.",
    "env": """\
A file with environment variables, one `NAME=value` per line.

Those of the base image are kept unless set here. `$NAME` and `${NAME}` in a value are replaced by the value of the
variable in the base image or in an earlier line. A variable that is not set stays as it is written.""",
    "exposed_ports": "A file with ports, separated by commas, such as `80/tcp,53/udp`.",
    "volumes": "A file with directories that hold data, separated by commas.",
    "labels": "A file with labels of the image's configuration, one `name=value` per line.",
    "annotations": "A file with annotations of the image's manifest, one `name=value` per line.",
}

def _oci_image_impl(ctx):
    if not ctx.attr.base and not (ctx.attr.os and ctx.attr.architecture):
        fail("'os' and 'architecture' are mandatory when 'base' is unspecified.")
    if ctx.attr.base and (ctx.attr.os or ctx.attr.architecture or ctx.attr.variant):
        fail("'os', 'architecture' and 'variant' come from the image provided by 'base' and cannot be overridden.")

    output = ctx.actions.declare_directory(ctx.label.name)
    inputs = list(ctx.files.tars)
    args = ctx.actions.args()
    args.add("image")
    args.add_all("--output", [output], expand_directories = False)

    if ctx.file.base:
        inputs.append(ctx.file.base)
        args.add_all("--base", [ctx.file.base], expand_directories = False)
    for layer in ctx.files.tars:
        args.add("--layer", layer)
        args.add(layer.owner)
    for name in _SETTINGS:
        file = getattr(ctx.file, name)
        if file:
            inputs.append(file)
            args.add("--" + name.replace("_", "-"), file)
    for name in ["os", "architecture", "variant", "user", "workdir"]:
        value = getattr(ctx.attr, name)
        if value:
            args.add(value, format = "--" + name + "=%s")

    ctx.actions.run(
        executable = ctx.executable._ocitool,
        arguments = [args],
        inputs = inputs,
        outputs = [output],
        mnemonic = "OCIImage",
        progress_message = "OCI Image %{label}",
        use_default_shell_env = True,
    )
    return [DefaultInfo(files = depset([output]))]

oci_image = rule(
    implementation = _oci_image_impl,
    doc = """\
Builds a container image: a directory in the OCI image layout.

Most users want the macro [oci_image](#oci_image), which takes lists and dictionaries where this rule takes files.
""",
    attrs = {
        name: attr.label(doc = doc, allow_single_file = True)
        for name, doc in _SETTINGS.items()
    } | {
        "base": attr.label(
            doc = "The base image: an oci_image, or a directory in the OCI image layout with one image.",
            allow_single_file = True,
        ),
        "tars": attr.label_list(
            doc = "The layers, lowest first, as tar files that are plain or compressed with gzip.",
            allow_files = _TAR_EXTENSIONS,
        ),
        "user": attr.string(doc = "The user that runs the program: `user` or `user:group`, each a name or a number."),
        "workdir": attr.string(doc = "The directory in which the program starts."),
        "os": attr.string(doc = "The operating system, by Go's name, such as `linux`. Not with `base`."),
        "architecture": attr.string(doc = "The processor, by Go's name, such as `amd64`. Not with `base`."),
        "variant": attr.string(doc = "The processor's variant, such as `v8`. Not with `base`."),
        "resource_set": attr.string(doc = "Accepted and not used: a build needs one core.", default = "default"),
    } | OCITOOL,
)

def _oci_digest_impl(ctx):
    args = ctx.actions.args()
    args.add("digest")
    args.add_all("--image", [ctx.file.image], expand_directories = False)
    args.add("--index", ctx.outputs.index)
    args.add("--digest", ctx.outputs.digest)
    ctx.actions.run(
        executable = ctx.executable._ocitool,
        arguments = [args],
        inputs = [ctx.file.image],
        outputs = [ctx.outputs.index, ctx.outputs.digest],
        mnemonic = "OCIDigest",
        progress_message = "OCI Digest %{label}",
        use_default_shell_env = True,
    )
    return [DefaultInfo(files = depset([ctx.outputs.digest]))]

oci_digest = rule(
    implementation = _oci_digest_impl,
    doc = "Writes the digest of an image's manifest, by which registries know it, into a file.",
    attrs = {
        "image": attr.label(doc = "The oci_image or oci_image_index.", allow_single_file = True, mandatory = True),
        "index": attr.output(doc = "A copy of the image's index.json.", mandatory = True),
        "digest": attr.output(doc = "The file with the digest.", mandatory = True),
    } | OCITOOL,
)
