"""The rule behind oci_load."""

load(":image.bzl", "OCITOOL")

# Run by `bazel run`, or by a program that has the target in its runfiles.
_RUNNER = """\
#!/bin/sh
set -eu
cd "${{RUNFILES_DIR:-$0.runfiles}}/{workspace}"
exec {command}
"""

def _quote(word):
    return "'" + word.replace("'", "'\\''") + "'"

def _oci_load_impl(ctx):
    tarball = ctx.actions.declare_file(ctx.label.name + "/tarball.tar")
    files = [ctx.file.image, ctx.file.repo_tags]

    # Not one of the default outputs: it is as large as the image, and seldom needed.
    args = ctx.actions.args()
    args.add("archive")
    args.add_all("--image", [ctx.file.image], expand_directories = False)
    args.add("--repo-tags", ctx.file.repo_tags)
    args.add("--format", ctx.attr.format)
    args.add("--output", tarball)
    ctx.actions.run(
        executable = ctx.executable._ocitool,
        arguments = [args],
        inputs = files,
        outputs = [tarball],
        mnemonic = "OCITarball",
        progress_message = "OCI Tarball %{label}",
        use_default_shell_env = True,
    )

    # `bazel run` writes the archive while the container tool reads it.
    command = [
        "./" + ctx.executable._ocitool.short_path,
        "load",
        "--image=" + ctx.file.image.short_path,
        "--repo-tags=" + ctx.file.repo_tags.short_path,
        "--format=" + ctx.attr.format,
    ]
    runfiles = ctx.runfiles(files + [ctx.executable._ocitool])
    if ctx.executable.loader:
        command.append("--loader=" + ctx.executable.loader.short_path)
        runfiles = runfiles.merge(ctx.runfiles([ctx.executable.loader]))
        runfiles = runfiles.merge(ctx.attr.loader[DefaultInfo].default_runfiles)

    runner = ctx.actions.declare_file(ctx.label.name + ".sh")
    ctx.actions.write(
        output = runner,
        content = _RUNNER.format(
            workspace = ctx.workspace_name,
            command = " ".join([_quote(word) for word in command]),
        ),
        is_executable = True,
    )
    return [
        DefaultInfo(executable = runner, runfiles = runfiles),
        OutputGroupInfo(tarball = depset([tarball])),
    ]

oci_load = rule(
    implementation = _oci_load_impl,
    doc = """\
Loads an image into docker, podman or nerdctl with `bazel run`.

The output group `tarball` is the archive that is loaded:

    filegroup(
        name = "app.tar",
        srcs = [":load"],
        output_group = "tarball",
    )
""",
    attrs = {
        "image": attr.label(doc = "The oci_image or oci_image_index.", allow_single_file = True, mandatory = True),
        "repo_tags": attr.label(
            doc = "A file with the names to give to the image, one per line.",
            allow_single_file = [".txt"],
            mandatory = True,
        ),
        "format": attr.string(
            doc = "`docker` for an oci_image, `oci` for an oci_image_index.",
            default = "docker",
            values = ["docker", "oci"],
        ),
        "loader": attr.label(
            doc = "The container tool to call, with `load --input FILE`. By default the first one on the PATH.",
            allow_files = True,
            executable = True,
            cfg = "target",
        ),
    } | OCITOOL,
    executable = True,
)
