"""Tests of container images, in the format of Google's container-structure-test, without Docker.

    load("@roma//container/structure_test:defs.bzl", "container_structure_test")
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

A test file says `schemaVersion: 2.0.0` and what the image must be like:

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

The files are those of Google's tool. Who has it at hand can give the same ones to the rule that comes
with it, `@container_structure_test//:defs.bzl`: `name`, `image` and `configs` mean the same there.

The runner knows `metadataTest`, `fileExistenceTests`, `fileContentTests`, `licenseTests`,
`commandTests`, `globalEnvVars`, and of `containerRunOptions` `user`, `privileged` and `envVars`. Any
other key is an error that names it and its line. Regular expressions are in Go's syntax. Beyond what
Google's tool does, ports can be given with their protocol, and commands of `teardown` are run.

Tests of files read the layers and need no rights. Each test of a command has a fresh copy of the image
in memory, in namespaces of its own. Copy, mounts and processes go away with it. A command writes no
more than 1 GiB. How it differs from Docker:

- As root, commands run as the user that the image names. Anyone else, and so root in Bazel's own
  sandbox, has but one user to give: the command sees the number that it should, but owns all files of
  the image. The output says so. Tag a test `no-sandbox` where that matters.
- Root has the capabilities that Docker gives, or with `privileged` all that the test has.
- The network is that of the test; there is no /sys, and /etc/hosts and the like are the image's.
- Programs get no rights of their files' owners, and file capabilities are not kept.
- Where /proc cannot be mounted, there is none, and the output says so.

Layers are plain or compressed with gzip. Of an image for several platforms, that of this machine is
tested.
"""

_SCRIPT = """\
#!/bin/sh
exec {words} "$@"
"""

def _quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"

def _container_structure_test_impl(ctx):
    files = [ctx.executable._runner, ctx.file.image] + ctx.files.configs

    # The runner is looked for in PATH unless its path has a folder.
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
    doc = "Tests a container image as files in the format of Google's container-structure-test say.",
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
            doc = "The test's environment, of which `containerRunOptions` may pass on variables.",
        ),
        "_runner": attr.label(
            cfg = "exec",
            default = Label("//container/structure_test:roma_structure_test"),
            executable = True,
        ),
    },
    test = True,
)
