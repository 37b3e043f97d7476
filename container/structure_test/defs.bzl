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
with it, `@container_structure_test//:defs.bzl`; the two rules have the same attributes.

What the runner knows: `metadataTest`, `fileExistenceTests`, `fileContentTests`, `licenseTests`,
`commandTests`, `globalEnvVars`, and of `containerRunOptions` `user`, `privileged` and `envVars`. Any
other key is an error that names it. Ports can be given with their protocol.

Commands run in namespaces of their own, in a copy of the image in memory that goes away with them,
with no more rights than the test itself has:

- As root they run as the user that the image names. Anyone else can be but one user: the command then
  sees that user's number and owns all files of the image; the output says so.
- `privileged` leaves root the rights that it has. Otherwise it has those that Docker gives.
- The network is that of the test.
- In Bazel's own sandbox nobody may mount /proc; tag the test `no-sandbox` if a program needs it.
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
