"""The interface that UDFs are written against, as files for an SDK.

The proto is the author's file, byte for byte, under a name that is the same in every SDK. Numbers, oneofs,
maps and reservations cannot differ from those of the API, because no tool rewrites them.
"""

load("@rules_proto//proto:defs.bzl", "ProtoInfo")
load(":codegen.bzl", "all_protos", "declaring_file", "import_name")

visibility(["//bzl/..."])

# Files that every protobuf compiler brings along.
_WELL_KNOWN = "google/protobuf/"

def _udf_specs_impl(ctx):
    interface = declaring_file(ctx)
    sources = {
        import_name(file, proto): file
        for proto in all_protos(ctx)
        for file in proto.transitive_sources.to_list()
    }
    copies = []
    for name, file in sources.items():
        if name == interface:
            copies.append(_copy(ctx, file, ctx.outputs.interface))
        elif not name.startswith(_WELL_KNOWN):
            copies.append(_copy(ctx, file, ctx.actions.declare_file("%s/%s" % (ctx.label.name, name))))

    # Concatenated descriptor sets are a descriptor set.
    arguments = ctx.actions.args()
    arguments.add(ctx.outputs.descriptors)
    sets = depset(transitive = [proto.transitive_descriptor_sets for proto in all_protos(ctx)])
    arguments.add_all(sets)
    ctx.actions.run_shell(
        command = 'out=$1; shift; cat "$@" > "$out"',
        arguments = [arguments],
        inputs = sets,
        outputs = [ctx.outputs.descriptors],
        mnemonic = "UdfDescriptors",
    )
    return [DefaultInfo(files = depset(copies + [ctx.outputs.descriptors]))]

def _copy(ctx, source, copy):
    ctx.actions.run_shell(
        command = 'cp "$1" "$2"',
        arguments = [source.path, copy.path],
        inputs = [source],
        outputs = [copy],
        mnemonic = "UdfInterface",
    )
    return copy

_udf_specs = rule(
    implementation = _udf_specs_impl,
    doc = "The proto files that UDFs are written against, and their descriptors.",
    attrs = {
        "descriptors": attr.output(mandatory = True, doc = "The descriptor set of all files."),
        "host_protos": attr.label_list(providers = [ProtoInfo], doc = "The protos of the host APIs that UDFs may call."),
        "interface": attr.output(mandatory = True, doc = "The copy of the file with the service."),
        "proto": attr.label(mandatory = True, providers = [ProtoInfo]),
        "proto_basename": attr.string(mandatory = True, doc = "The name, without folder and `.proto`, of the file with the service."),
    },
)

def host_protos(api):
    """Returns the protos of the host APIs that UDFs may call, except the API's own proto.

    Args:
        api: the value of `declare_roma_api`.

    Returns:
        their labels, without duplicates.
    """
    return {host.proto: None for host in api.host_apis if host.proto != api.proto}.keys()

def udf_specs(name, roma_app_api, **kwargs):
    """Makes a folder `name` with `udf_interface.proto`, everything it imports, and `udf_interface.binpb`.

    Args:
        name: the target, and the folder.
        roma_app_api: the value of `declare_roma_api`.
        **kwargs: common attributes, such as `visibility`.
    """
    _udf_specs(
        name = name,
        proto = roma_app_api.proto,
        host_protos = host_protos(roma_app_api),
        proto_basename = roma_app_api.proto_basename,
        interface = name + "/udf_interface.proto",
        descriptors = name + "/udf_interface.binpb",
        **kwargs
    )
