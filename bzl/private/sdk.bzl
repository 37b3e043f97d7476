"""Archives for the developers of UDFs, and for those who embed the service.

    load("@roma//bzl:defs.bzl", "roma_byob_sdk")

    roma_byob_sdk(
        name = "greeting_sdk",
        roma_app_api = GREETING_API,  # the value of declare_roma_api
    )

`greeting_sdk.zip` has everything that a UDF developer needs. Its README.md lists the contents.
"""

load("@rules_pkg//pkg:mappings.bzl", "pkg_files", "strip_prefix")
load("@rules_pkg//pkg:zip.bzl", "pkg_zip")
load("@rules_proto//proto:defs.bzl", "ProtoInfo")
load(":attributes.bzl", "common_attributes")
load(":codegen.bzl", "CODEGEN_ATTRS", "CODEGEN_TOOLCHAINS", "all_protos", "declaring_file", "generate", "import_name")
load(":specs.bzl", "host_protos", "udf_specs")
load(":template.bzl", "expanded_template")

visibility(["//bzl"])

_OLDEST_RUST = "1.88"

# The folders of protos that are not part of an API.
_NOT_OF_THE_API = ("google/protobuf/", "privacysandbox/apis/roma/app_api/")

def _api_output_impl(ctx):
    arguments = ctx.actions.args()
    names = {
        import_name(file, proto): None
        for proto in all_protos(ctx)
        for file in proto.transitive_sources.to_list()
    }
    names = [name for name in names if not name.startswith(_NOT_OF_THE_API)]
    if ctx.attr.make == "messages":
        arguments.add_all("--file", names)
    else:
        arguments.add("--file", declaring_file(ctx))
        arguments.add_all("--extern", ["udf_interface=" + name for name in names])
        if ctx.attr.service:
            arguments.add("--service", ctx.attr.service)
    return [DefaultInfo(files = depset([generate(ctx, ctx.attr.make, arguments, extension = "")]))]

_api_output = rule(
    implementation = _api_output_impl,
    doc = "Generates one file from an API.",
    attrs = CODEGEN_ATTRS | {
        "host_protos": attr.label_list(providers = [ProtoInfo], doc = "The protos of the host APIs that UDFs may call."),
        "make": attr.string(mandatory = True, doc = "The kind of output: see the generator's --help."),
        "proto_basename": attr.string(mandatory = True, doc = "The name, without folder and `.proto`, of the file with the service."),
        "service": attr.string(doc = "The service, if the file declares several."),
    },
    toolchains = CODEGEN_TOOLCHAINS,
)

def _generated(name, api, make, path, **kwargs):
    """Generates one file from an API and returns the target that packs it at `path`."""
    target = "%s_%s" % (name, make)
    _api_output(
        name = target,
        make = make,
        proto = api.proto,
        proto_basename = api.proto_basename,
        service = api.service,
        host_protos = host_protos(api),
        **kwargs
    )
    return _packed_as(target, path, **kwargs)

def _packed_as(target, path, **kwargs):
    folder, _, file = path.rpartition("/")
    pkg_files(
        name = target + "_files",
        srcs = [target],
        prefix = folder,
        renames = {target: file},
        **kwargs
    )
    return target + "_files"

def declare_doc(doc, target_filename):
    """Declares where an SDK has a page of the integrator.

    Args:
        doc: the file's label.
        target_filename: its path in the SDK's folder `docs`.

    Returns:
        an entry for `extra_docs` of `roma_byob_sdk`.
    """
    return struct(doc = doc, target_filename = target_filename)

def sdk_guide_doc(name, roma_app_api, intro_text = "", with_tools = True, **kwargs):
    """Makes the first page of an SDK, its README.md.

    Args:
        name: the target.
        roma_app_api: the value of `declare_roma_api`.
        intro_text: a first paragraph, in Markdown: who you are, where to ask.
        with_tools: whether the SDK has tools.
        **kwargs: common attributes, such as `visibility`.
    """
    templates = ["guide.md.tpl"]
    if roma_app_api.host_apis:
        templates.append("guide_host_functions.md.tpl")
    if with_tools:
        templates.append("guide_tools.md.tpl")
    expanded_template(
        name = name,
        templates = templates,
        substitutions = {
            "{{api}}": roma_app_api.service or roma_app_api.proto_basename + ".proto",
            "{{host_apis}}": "\n".join([
                "| `%s` | `%s` |" % (_host_page(host), _host_crate(host))
                for host in roma_app_api.host_apis
            ]),
            "{{oldest_rust}}": _OLDEST_RUST,
            "{{intro}}\n": intro_text.strip() + "\n\n" if intro_text else "",
        },
        **common_attributes(kwargs)
    )

def sdk_runtime_doc(
        name,
        syscall_filter = "strict",
        host_functions = False,
        libraries = [],
        memory = "no separate limit",
        processor_time = "no separate limit",
        tmp = "none",
        payloads = "64 MiB each",
        notes = "",
        **kwargs):
    """Makes the page that says how the integrator's service runs UDFs, docs/udf/runtime.md of an SDK.

    The defaults are those of the library. Pass what your service sets differently.

    Args:
        name: the target.
        syscall_filter: the level in force: `strict`, `engine` or `none`.
        host_functions: whether UDFs may call the host.
        libraries: the paths of the folders that UDFs see.
        memory: the limit, as text.
        processor_time: the limit, as text.
        tmp: what is there, as text.
        payloads: the limits, as text.
        notes: additional paragraphs, in Markdown.
        **kwargs: common attributes, such as `visibility`.
    """
    expanded_template(
        name = name,
        templates = ["runtime.md.tpl"],
        substitutions = {
            "{{syscall_filter}}": syscall_filter,
            "{{host_functions}}": "yes" if host_functions else "none",
            "{{libraries}}": ", ".join(["`%s`" % path for path in libraries]) or "none: link statically",
            "{{memory}}": memory,
            "{{processor_time}}": processor_time,
            "{{tmp}}": tmp,
            "{{payloads}}": payloads,
            "{{notes}}\n": "\n%s\n" % notes.strip() if notes else "",
        },
        **common_attributes(kwargs)
    )

def roma_byob_sdk(
        name,
        roma_app_api,
        extra_docs = [],
        exclude_tools = False,
        guide_intro_text = "",
        runtime_doc = None,
        **kwargs):
    """Makes a zip for developers of UDFs that answer an API: `<name>.zip`.

    It has the licence, the interface as proto and as descriptors, documentation, helpers and examples in each
    language with all crates that they need, and the tools. It builds outside any workspace.

    Args:
        name: the target.
        roma_app_api: the value of `declare_roma_api`. Each of its `host_apis` gets a page too.
        extra_docs: your own pages, each a value of `declare_doc`.
        exclude_tools: whether to leave out the tools, which are most of the size.
        guide_intro_text: a first paragraph for the README, in Markdown.
        runtime_doc: a target of `sdk_runtime_doc`; by default one with the library's defaults.
        **kwargs: common attributes, such as `visibility` and `tags`.
    """
    common = common_attributes(kwargs)
    udf_specs(
        name = name + "_specs",
        roma_app_api = roma_app_api,
        **common
    )
    pkg_files(
        name = name + "_spec_files",
        srcs = [name + "_specs"],
        prefix = "specs",
        strip_prefix = strip_prefix.from_pkg(name + "_specs"),
        **common
    )
    sdk_guide_doc(
        name = name + "_guide",
        roma_app_api = roma_app_api,
        intro_text = guide_intro_text,
        with_tools = not exclude_tools,
        **common
    )
    if not runtime_doc:
        runtime_doc = name + "_runtime"
        sdk_runtime_doc(
            name = runtime_doc,
            host_functions = bool(roma_app_api.host_apis),
            **common
        )
    pages = {runtime_doc: "udf/runtime.md"} | {page.doc: page.target_filename for page in extra_docs}
    pkg_files(
        name = name + "_pages",
        srcs = pages.keys(),
        prefix = "docs",
        renames = pages,
        **common
    )
    tools = [] if exclude_tools else [Label("//src/cli:sdk_tools")]
    pkg_zip(
        name = name,
        srcs = [
            name + "_spec_files",
            _packed_as(name + "_guide", "README.md", **common),
            name + "_pages",
            _generated(name, roma_app_api, "markdown", "docs/udf/interface.md", **common),
            _generated(name, roma_app_api, "messages", "helpers/rust/udf-interface/lib.rs", **common),
            _generated(name, roma_app_api, "cc-example", "examples/cc/udf.cc", **common),
            _generated(name, roma_app_api, "rust-example", "examples/rust/main.rs", **common),
            Label("//:licence_file"),
            Label("//docs/udf:pages"),
            Label("//sample_udf/go:sdk_files"),
            Label("//src/udf:sdk_files"),
            Label("//src/udf/cc:sdk_files"),
        ] + _host_pages(name, roma_app_api, **common) + _host_crates(name, roma_app_api, **common) + tools,
        **kwargs
    )

def _host_name(host):
    return (host.service or host.proto_basename).lower()

def _host_page(host):
    return "docs/udf/host_%s.md" % _host_name(host)

def _host_crate(host):
    return "helpers/rust/host-%s" % _host_name(host)

def _host_crates(name, api, **kwargs):
    """Makes a crate for each API of the host, with a typed client for UDFs in Rust."""
    files = []
    for number, host in enumerate(api.host_apis):
        target = "%s_host_%d" % (name, number)
        expanded_template(
            name = target + "_manifest",
            templates = ["host_crate.toml.tpl"],
            substitutions = {"{{name}}": _host_name(host)},
            **kwargs
        )
        files.append(_packed_as(target + "_manifest", _host_crate(host) + "/Cargo.toml", **kwargs))
        files.append(_generated(target, host, "host-client", _host_crate(host) + "/lib.rs", **kwargs))
    return files

def _host_pages(name, api, **kwargs):
    return [
        _generated(
            "%s_host_%d" % (name, number),
            host,
            "markdown",
            _host_page(host),
            **kwargs
        )
        for number, host in enumerate(api.host_apis)
    ]

def roma_integrator_docs(name, roma_app_api, **kwargs):
    """Makes a zip with a page about an API and about each of its `host_apis`: `<name>.zip`.

    Args:
        name: the target.
        roma_app_api: the value of `declare_roma_api`.
        **kwargs: common attributes, such as `visibility` and `tags`.
    """
    common = common_attributes(kwargs)
    pkg_zip(
        name = name,
        srcs = [
            _generated(name, roma_app_api, "markdown", "docs/udf/interface.md", **common),
            Label("//:licence_file"),
        ] + _host_pages(name, roma_app_api, **common),
        **kwargs
    )
