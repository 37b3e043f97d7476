"""The interface that UDFs are written against, as files to hand over. Private to this folder.

The text is the author's own, byte for byte, under one name that every SDK has: numbers, oneofs, maps
and reservations cannot differ from those of the API, because nothing writes them anew.
"""

load("@rules_proto//proto:defs.bzl", "ProtoInfo")
load("//bzl:codegen.bzl", "declaring_file", "import_name")

# What every protobuf compiler has.
_WELL_KNOWN = "google/protobuf/"

def _udf_specs_impl(ctx):
    proto = ctx.attr.proto[ProtoInfo]
    interface = declaring_file(ctx)
    copies = []
    for file in proto.transitive_sources.to_list():
        name = import_name(file, proto)
        if name == interface:
            copies.append(_copy(ctx, file, ctx.outputs.interface))
        elif not name.startswith(_WELL_KNOWN):
            copies.append(_copy(ctx, file, ctx.actions.declare_file("%s/%s" % (ctx.label.name, name))))

    # Sets one after the other are a set.
    arguments = ctx.actions.args()
    arguments.add(ctx.outputs.descriptors)
    arguments.add_all(proto.transitive_descriptor_sets)
    ctx.actions.run_shell(
        command = 'out=$1; shift; cat "$@" > "$out"',
        arguments = [arguments],
        inputs = proto.transitive_descriptor_sets,
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
        "descriptors": attr.output(mandatory = True, doc = "The descriptor set of them all."),
        "interface": attr.output(mandatory = True, doc = "The file with the service."),
        "proto": attr.label(mandatory = True, providers = [ProtoInfo]),
        "proto_basename": attr.string(mandatory = True, doc = "The file with the service."),
    },
)

def udf_specs(name, roma_app_api, **kwargs):
    """A folder `name` with `udf_interface.proto`, all that it imports, and `udf_interface.binpb`.

    Args:
        name: the target, and the folder.
        roma_app_api: what `declare_roma_api` returned.
        **kwargs: passed on, such as `visibility`.
    """
    _udf_specs(
        name = name,
        proto = roma_app_api.proto,
        proto_basename = roma_app_api.proto_basename,
        interface = name + "/udf_interface.proto",
        descriptors = name + "/udf_interface.binpb",
        **kwargs
    )
