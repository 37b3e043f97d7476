"""The action that generates source from protos, for the rules of this folder."""

load("@rules_proto//proto:defs.bzl", "ProtoInfo")

visibility("private")

RustProtoSourceInfo = provider(
    doc = "The Rust source that is generated from a `proto_library`.",
    fields = {
        "crate_name": "The name of the crate that the source becomes.",
        "files": "The proto files that it covers, by the names that other files import them by.",
    },
)

_RUSTFMT = "@rules_rust//rust/rustfmt:toolchain_type"

# The kinds of output that are Rust.
_RUST = ["messages", "client", "host", "host-client", "rust-example"]

# The toolchains that `generate` uses if they are available.
CODEGEN_TOOLCHAINS = [config_common.toolchain_type(_RUSTFMT, mandatory = False)]

# The attributes that `generate` reads.
CODEGEN_ATTRS = {
    "deps": attr.label_list(
        providers = [RustProtoSourceInfo],
        doc = "The sources of the crates whose messages this one uses.",
    ),
    "proto": attr.label(mandatory = True, providers = [ProtoInfo]),
    "_codegen": attr.label(
        default = Label("//src/codegen:roma_codegen"),
        executable = True,
        cfg = "exec",
    ),
}

def import_name(file, proto):
    """Returns the name that other proto files import a file by.

    Args:
        file: the file.
        proto: the `ProtoInfo` of a `proto_library` that contains or imports it.

    Returns:
        the name.
    """
    roots = [proto.proto_source_root] + proto.transitive_proto_path.to_list() + [file.root.path]
    for root in reversed(sorted(roots, key = len)):
        if root not in ("", ".") and file.path.startswith(root + "/"):
            return file.path[len(root) + 1:]
    return file.path

def proto_files(proto):
    """Returns the names that other proto files import the files of a `proto_library` by.

    Args:
        proto: its `ProtoInfo`.

    Returns:
        the names.
    """
    return [import_name(file, proto) for file in proto.direct_sources]

def all_protos(ctx):
    """Returns the protos of a rule: that of its API, and those of the host APIs that UDFs may call.

    Args:
        ctx: the rule's context, with the attribute `proto` and optionally `host_protos`.

    Returns:
        their `ProtoInfo`s.
    """
    targets = [ctx.attr.proto] + getattr(ctx.attr, "host_protos", [])
    return [target[ProtoInfo] for target in targets]

def declaring_file(ctx):
    """Returns the import name of the file that declares a rule's service.

    Args:
        ctx: the rule's context, with the attributes `proto` and `proto_basename`.

    Returns:
        the name.
    """
    names = proto_files(ctx.attr.proto[ProtoInfo])
    wanted = ctx.attr.proto_basename + ".proto"
    fitting = [name for name in names if name.split("/")[-1] == wanted]
    if len(fitting) != 1:
        fail("%s must have exactly one file named %s; it has %s" % (ctx.attr.proto.label, wanted, ", ".join(names)))
    return fitting[0]

def generate(ctx, make, arguments, extension = ".rs"):
    """Registers the action that generates a rule's output.

    Args:
        ctx: the rule's context, with `CODEGEN_ATTRS` and `CODEGEN_TOOLCHAINS`.
        make: the kind of output, a value of the generator's `--make`.
        arguments: an `Args` with the generator's other arguments.
        extension: the extension of the output's name.

    Returns:
        the generated file.
    """
    sets = depset(transitive = [proto.transitive_descriptor_sets for proto in all_protos(ctx)])
    source = ctx.actions.declare_file(ctx.label.name + extension)
    common = ctx.actions.args()
    common.add("--make", make)
    common.add_all("--descriptor-set", sets)
    for dep in ctx.attr.deps:
        info = dep[RustProtoSourceInfo]
        common.add_all("--extern", ["%s=%s" % (info.crate_name, file) for file in info.files])
    common.add("--out", source)
    rustfmt = ctx.toolchains[_RUSTFMT] if make in _RUST else None
    if rustfmt:
        common.add("--rustfmt", rustfmt.rustfmt)
    ctx.actions.run(
        executable = ctx.executable._codegen,
        arguments = [common, arguments],
        inputs = sets,
        tools = rustfmt.all_files if rustfmt else [],
        outputs = [source],
        mnemonic = "RomaCodegen",
        progress_message = "Generating %{output}",
    )
    return source
