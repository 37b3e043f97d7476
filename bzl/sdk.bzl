"""What an integrator hands to those who write UDFs, and to those who embed the service.

    load("@roma//bzl:sdk.bzl", "roma_byob_sdk")

    roma_byob_sdk(
        name = "greeting_sdk",
        roma_app_api = GREETING_API,  # as declare_roma_api returned it
    )

`greeting_sdk.zip` is all that a UDF developer needs: what is in it, its README.md says.
"""

load("@rules_pkg//pkg:mappings.bzl", "pkg_files", "strip_prefix")
load("@rules_pkg//pkg:zip.bzl", "pkg_zip")
load("@rules_proto//proto:defs.bzl", "ProtoInfo")
load("//bzl:codegen.bzl", "CODEGEN_ATTRS", "CODEGEN_TOOLCHAINS", "all_protos", "declaring_file", "generate", "import_name")
load("//bzl:specs.bzl", "host_protos", "udf_specs")

# Files of these are no part of what UDFs are written against.
_NOT_OF_THE_API = ("google/protobuf/", "privacysandbox/apis/roma/app_api/")

def _common(kwargs):
    return {key: kwargs[key] for key in ("tags", "testonly", "visibility") if key in kwargs}

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
    doc = "One file that is made of an API.",
    attrs = CODEGEN_ATTRS | {
        "host_protos": attr.label_list(providers = [ProtoInfo], doc = "Those of what UDFs may call."),
        "make": attr.string(mandatory = True, doc = "What it is: see the generator's --help."),
        "proto_basename": attr.string(mandatory = True, doc = "The file with the service."),
        "service": attr.string(doc = "The service, where the file declares several."),
    },
    toolchains = CODEGEN_TOOLCHAINS,
)

def _made_of(name, api, make, path, **kwargs):
    """One file made of an API, to be packed at `path`."""
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

def _text_impl(ctx):
    file = ctx.actions.declare_file(ctx.label.name + ".md")
    ctx.actions.write(file, ctx.attr.text)
    return [DefaultInfo(files = depset([file]))]

_text = rule(
    implementation = _text_impl,
    attrs = {"text": attr.string(mandatory = True)},
)

def declare_doc(doc, target_filename):
    """Says where a page of the integrator's own goes in an SDK.

    Args:
        doc: the file's label.
        target_filename: its path below the SDK's folder `docs`.

    Returns:
        an entry for `extra_docs` of `roma_byob_sdk`.
    """
    return struct(doc = doc, target_filename = target_filename)

_GUIDE = """\
# Guide to the SDK

{intro}This is all that you need to write a program (a *UDF*) that answers the API `{proto}`. A UDF is started once
for each request, in a sandbox. It reads one message, writes one message, and exits.

| here | is |
|---|---|
| `specs/udf_interface.proto` | the messages, and beside it what it imports; `udf_interface.binpb` describes them to tools |
| `docs/udf/interface.md` | the same, to read |
{host_pages}| [`docs/udf/index.md`](docs/udf/index.md) | how a UDF talks to its host, what it finds in its sandbox, and what it may do there |
| `docs/udf/runtime.md` | how this host runs it |
| `examples/cc`, `examples/rust` | a UDF to begin with, in C++ and in Rust |
| `helpers/` | the helper for each language that the examples use |
{tools}
## C++

You need a C++17 compiler, protobuf with its static library, and its compiler `protoc` (on Debian:
`apt-get install g++ protobuf-compiler libprotobuf-dev zlib1g-dev`).

    sh examples/cc/build.sh udf

compiles `examples/cc/udf.cc` to the program `udf`; the script is two commands. Fill in `Answer()`.

## Rust

You need Rust {rust} or newer, and no registry: all crates are here.

    sh examples/rust/build.sh udf

compiles `examples/rust/main.rs` to the program `udf`. Fill in `answer()`. Keep your program in this folder,
whose `.cargo/config.toml` says where the crates are.

## Go

`helpers/go` has packages that speak the protocol, and a program that uses them:
[a first UDF](docs/udf/first-udf.md#go) begins there.

## Another language

What a UDF has to do is described byte by byte in `docs/udf/communication.md`. It is about twenty lines
in any language that can be linked statically.
{trying}"""

_HOST_ROW = """\
| `{page}` | what a UDF may ask the host, by the names `package.Service/Method` |
| `{crate}` | the same as a crate, for UDFs in Rust |
"""

_TOOLS_ROW = "| `tools/roma` | runs and checks a UDF here, as below |\n"

_TRYING = """
## Trying it

    tools/roma doctor
    tools/roma verify udf --proto specs/udf_interface.proto
    tools/roma shell --proto specs/udf_interface.proto
    roma> load udf
    roma> help

`doctor` says what this machine can do. `verify` checks the program `udf` in the real sandbox; with `--request`
and a request in JSON also its answer. In the shell, `help` lists the calls of the API: each is a command
that takes a request in JSON. All of them run it inside gVisor. Where that does not work, `--mode minimal`
does without; it says loudly that it is not for production, where other people's data is.

The tools offer no functions of a host, and limit a process by its deadline only: `docs/udf/runtime.md` says
what the real host gives.
"""

def sdk_guide_doc(name, roma_app_api, intro_text = "", with_tools = True, **kwargs):
    """The page that an SDK begins with, its README.md.

    Args:
        name: the target.
        roma_app_api: what `declare_roma_api` returned.
        intro_text: a paragraph for its beginning, in Markdown: who you are, where to ask.
        with_tools: whether the SDK has tools.
        **kwargs: passed on, such as `visibility`.
    """
    _text(
        name = name,
        text = _GUIDE.format(
            intro = intro_text.strip() + "\n\n" if intro_text else "",
            proto = roma_app_api.service or roma_app_api.proto_basename + ".proto",
            rust = "1.88",
            tools = _TOOLS_ROW if with_tools else "",
            trying = _TRYING if with_tools else "",
            host_pages = "".join([
                _HOST_ROW.format(page = _host_page(host), crate = _host_crate(host))
                for host in roma_app_api.host_apis
            ]),
        ),
        **_common(kwargs)
    )

_RUNTIME = """\
# Where your UDF runs

| | |
|---|---|
| system calls | level `{syscall_filter}`: see [system calls](syscalls.md) |
| functions of the host (descriptor 4) | {host_functions} |
| libraries in the sandbox | {libraries} |
| memory of one process | {memory} |
| processor time of one request | {processor_time} |
| `/tmp` | {tmp} |
| largest request, largest response | {payloads} |

[Execution environment](environment.md) says what all of these mean, and what else holds everywhere.
{notes}"""

def sdk_runtime_doc(
        name,
        syscall_filter = "strict",
        host_functions = False,
        libraries = [],
        memory = "no limit of its own",
        processor_time = "no limit of its own",
        tmp = "none",
        payloads = "64 MiB each",
        notes = "",
        **kwargs):
    """A page that says how the integrator's service runs UDFs: docs/udf/runtime.md of an SDK.

    The defaults are those of the library; say here what you set otherwise.

    Args:
        name: the target.
        syscall_filter: the level in force: `strict`, `engine` or `none`.
        host_functions: whether UDFs may call the host.
        libraries: the folders that UDFs see, as paths.
        memory: the limit, for people.
        processor_time: the limit, for people.
        tmp: what there is, for people.
        payloads: the limits, for people.
        notes: further paragraphs, in Markdown.
        **kwargs: passed on, such as `visibility`.
    """
    _text(
        name = name,
        text = _RUNTIME.format(
            syscall_filter = syscall_filter,
            host_functions = "yes" if host_functions else "none",
            libraries = ", ".join(["`%s`" % path for path in libraries]) or "none: link statically",
            memory = memory,
            processor_time = processor_time,
            tmp = tmp,
            payloads = payloads,
            notes = "\n%s\n" % notes.strip() if notes else "",
        ),
        **_common(kwargs)
    )

def roma_byob_sdk(
        name,
        roma_app_api,
        extra_docs = [],
        exclude_tools = False,
        guide_intro_text = "",
        runtime_doc = None,
        **kwargs):
    """A zip for those who write UDFs that answer an API: `<name>.zip`.

    It holds the licence, the interface as proto and as descriptors, documentation, helpers and examples in
    each language with all crates that they need, and the tools. It builds outside any workspace.

    Args:
        name: the target.
        roma_app_api: what `declare_roma_api` returned. Each of its `host_apis` gets a page too.
        extra_docs: pages of your own, from `declare_doc`.
        exclude_tools: leaves the tools out, which are most of the size.
        guide_intro_text: a paragraph for the beginning of the README, in Markdown.
        runtime_doc: a target of `sdk_runtime_doc` that says how your service runs UDFs; by default one
            with the library's defaults.
        **kwargs: passed on, such as `visibility` and `tags`.
    """
    common = _common(kwargs)
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
            _made_of(name, roma_app_api, "markdown", "docs/udf/interface.md", **common),
            _made_of(name, roma_app_api, "messages", "helpers/rust/udf-interface/lib.rs", **common),
            _made_of(name, roma_app_api, "cc-example", "examples/cc/udf.cc", **common),
            _made_of(name, roma_app_api, "rust-example", "examples/rust/main.rs", **common),
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

_HOST_MANIFEST = """\
[package]
name = "host-{name}"
description = "Functions of the host, to call from a UDF."
version = "0.1.0"
edition = "2024"

[lib]
path = "lib.rs"

[dependencies]
roma-udf = {{ path = "../roma-udf" }}
udf-interface = {{ path = "../udf-interface" }}

[workspace]
"""

def _host_crates(name, api, **kwargs):
    """A crate for each API of the host, with a typed client for UDFs in Rust."""
    files = []
    for number, host in enumerate(api.host_apis):
        target = "%s_host_%d" % (name, number)
        _text(
            name = target + "_manifest",
            text = _HOST_MANIFEST.format(name = _host_name(host)),
            **kwargs
        )
        files.append(_packed_as(target + "_manifest", _host_crate(host) + "/Cargo.toml", **kwargs))
        files.append(_made_of(target, host, "host-client", _host_crate(host) + "/lib.rs", **kwargs))
    return files

def _host_pages(name, api, **kwargs):
    return [
        _made_of(
            "%s_host_%d" % (name, number),
            host,
            "markdown",
            _host_page(host),
            **kwargs
        )
        for number, host in enumerate(api.host_apis)
    ]

def roma_integrator_docs(name, roma_app_api, **kwargs):
    """A zip with a page about an API, and one about each API of the host that it names: `<name>.zip`.

    Args:
        name: the target.
        roma_app_api: what `declare_roma_api` returned.
        **kwargs: passed on, such as `visibility` and `tags`.
    """
    common = _common(kwargs)
    pkg_zip(
        name = name,
        srcs = [
            _made_of(name, roma_app_api, "markdown", "docs/udf/interface.md", **common),
            Label("//:licence_file"),
        ] + _host_pages(name, roma_app_api, **common),
        **kwargs
    )
