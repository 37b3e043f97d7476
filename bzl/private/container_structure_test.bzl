"""Tests of container images, in the format of Google's container-structure-test, without Docker.

    load("@roma//bzl:defs.bzl", "container_structure_test")
    load("@rules_oci//oci:defs.bzl", "oci_image")

    oci_image(
        name = "image",
        ...
    )

    container_structure_test(
        name = "image_test",
        configs = ["image_test.yaml"],
        image = ":image",
    )

A test file has `schemaVersion: 2.0.0` and what it expects of the image:

    schemaVersion: 2.0.0

    metadataTest:
      user: 65532
      entrypoint: [/bin/server]

    fileExistenceTests:
      - name: the server
        path: /bin/server
        permissions: -r-x------
        uid: 65532
        gid: 65532

    commandTests:
      - name: help
        command: /bin/server
        args: [--help]
        expectedOutput: [Usage]

The files also work with Google's own rule, `@container_structure_test//:defs.bzl`, where `name`, `image` and
`configs` have the same meaning.

The runner supports `metadataTest`, `fileExistenceTests`, `fileContentTests`, `licenseTests`,
`commandTests`, `globalEnvVars`, and of `containerRunOptions` `user`, `privileged` and `envVars`. Any
other key is an error that names the key and its line. Regular expressions have Go's syntax. Unlike Google's
tool, it accepts ports with their protocol, and runs the commands of `teardown`.

Tests of files read the layers and need no privileges. Each test of a command gets a fresh copy of the image in
memory, in its own namespaces. The copy, its mounts and its processes disappear with the test. A command can write
at most 1 GiB. The differences from Docker:

- As root, commands run as the user that the image names. Other users, including root in Bazel's own sandbox, can
  map only one user: the command sees the expected uid, but owns all files of the image. The output says so. If
  that matters, tag the test `no-sandbox`.
- Root has the capabilities that Docker grants, or with `privileged` all capabilities of the test.
- The network is that of the test. There is no /sys, and files such as /etc/hosts are the image's own.
- Set-user-ID and set-group-ID bits have no effect, and file capabilities are not kept.
- If /proc cannot be mounted, it is missing, and the output says so.

Layers are plain or compressed with gzip. Of an image for several platforms, the one for this machine is tested.
"""

visibility(["//bzl"])

_SCRIPT = """\
#!/bin/sh
exec {words} "$@"
"""

def _quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"

def _container_structure_test_impl(ctx):
    files = [ctx.executable._runner, ctx.file.image] + ctx.files.configs

    # The shell searches PATH for the runner unless its path has a folder.
    words = " ".join([_quoted("./" + file.short_path) for file in files])
    script = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(script, _SCRIPT.format(words = words), is_executable = True)
    runfiles = ctx.runfiles(files = files).merge(ctx.attr._runner[DefaultInfo].default_runfiles)
    return [
        DefaultInfo(executable = script, runfiles = runfiles),
        RunEnvironmentInfo(environment = ctx.attr.env),
    ]

container_structure_test = rule(
    implementation = _container_structure_test_impl,
    doc = "Tests a container image with files in the format of Google's container-structure-test.",
    attrs = {
        "image": attr.label(
            allow_single_file = True,
            doc = "The image: an `oci_image`, or any folder in the OCI image layout.",
            mandatory = True,
        ),
        "configs": attr.label_list(
            allow_empty = False,
            allow_files = [".yaml", ".yml", ".json"],
            doc = "The test files.",
            mandatory = True,
        ),
        "env": attr.string_dict(
            doc = "The test's environment, from which `containerRunOptions` may pass on variables.",
        ),
        "_runner": attr.label(
            cfg = "exec",
            default = Label("//src/structure_test:roma_structure_test"),
            executable = True,
        ),
    },
    test = True,
)
