"""What is made of an API: typed clients for the services whose calls UDFs answer, and both sides of those
that UDFs call.

    load("@roma//bzl:proto.bzl", "rust_proto_library")
    load("@roma//bzl:roma_api.bzl", "declare_roma_api", "roma_byob_app_api_rust_library")
    load("@rules_proto//proto:defs.bzl", "proto_library")

    proto_library(
        name = "greeting_proto",
        srcs = ["greeting.proto"],  # declares the service GreetingService
    )

    rust_proto_library(
        name = "greeting_messages",
        proto = ":greeting_proto",
    )

    roma_byob_app_api_rust_library(
        name = "greeting_client",
        roma_app_api = declare_roma_api(
            proto = ":greeting_proto",
            proto_basename = "greeting",
            rust_protos = [":greeting_messages"],
        ),
    )

`greeting_client` is a crate with the type `ByobGreetingService`, which has a method for each call.

`roma_host_api_rust_library` is for the other direction: functions of the integrator that UDFs call.
"""

load("@rules_rust//rust:defs.bzl", "rust_library")
load("//bzl:codegen.bzl", "CODEGEN_ATTRS", "declaring_file", "generate")
load("//bzl:proto.bzl", "source_label")

def declare_roma_api(proto, proto_basename, rust_protos, service = None, host_apis = []):
    """Says what an API consists of. What it returns goes to the macros below.

    Args:
        proto: the `proto_library` with the service.
        proto_basename: the name, without folder and `.proto`, of the file that declares the service.
        rust_protos: the `rust_proto_library` targets that hold the messages of its calls.
        service: the service, where the file declares several.
        host_apis: other APIs, declared the same way, that UDFs may call.

    Returns:
        a struct with these fields.
    """
    return struct(
        proto = proto,
        proto_basename = proto_basename,
        rust_protos = rust_protos,
        service = service,
        host_apis = host_apis,
    )

def _rust_service_source_impl(ctx):
    arguments = ctx.actions.args()
    arguments.add("--file", declaring_file(ctx))
    if ctx.attr.service:
        arguments.add("--service", ctx.attr.service)
    return [DefaultInfo(files = depset([generate(ctx, ctx.attr.make, arguments)]))]

_rust_service_source = rule(
    implementation = _rust_service_source_impl,
    doc = "Rust source for one side of one service.",
    attrs = CODEGEN_ATTRS | {
        "make": attr.string(mandatory = True, doc = "Which side: see the generator's --help."),
        "proto_basename": attr.string(mandatory = True, doc = "The file with the service."),
        "service": attr.string(doc = "The service, where the file declares several."),
    },
)

def _rust_service_library(name, api, make, crate_name, runtime, **kwargs):
    common = {key: kwargs[key] for key in ("tags", "testonly", "visibility") if key in kwargs}
    source = "%s_%s_source" % (name, make)
    _rust_service_source(
        name = source,
        make = make,
        proto = api.proto,
        proto_basename = api.proto_basename,
        service = api.service,
        deps = [source_label(dep) for dep in api.rust_protos],
        **common
    )
    rust_library(
        name = name,
        srcs = [source],
        crate_name = crate_name,
        deps = api.rust_protos + [runtime],
        **kwargs
    )

def roma_byob_app_api_rust_library(name, roma_app_api, crate_name = None, **kwargs):
    """A Rust crate with a typed client of an API.

    The client has a method for each call, and `create`, `register`, `register_for_logging`, `delete`,
    `cancel` and `shutdown`. What is refused (calls that stream, names that clash) is refused by the
    build, with the proto's file and line.

    Args:
        name: the library's name.
        roma_app_api: what `declare_roma_api` returned.
        crate_name: the crate's name; the library's name by default.
        **kwargs: passed to `rust_library`, such as `visibility` and `tags`.
    """
    _rust_service_library(name, roma_app_api, "client", crate_name or name, Label("//src/byob"), **kwargs)

def roma_host_api_rust_library(name, roma_host_api, crate_name = None, **kwargs):
    """Two Rust crates for an API that UDFs call: one for the host, one for UDFs.

    The crate `name` has a trait with an async method for each call, which the integrator implements,
    and a function `register`, which makes a service offer it:

        let config = profiles_host::register(Service::builder(), Profiles::new());

    UDFs can call it if their code is loaded so (`LoadOptions::calling_host`). The methods see the
    metadata of the execution that calls them; UDFs never do.

    The crate `<name>_udf` is for UDFs in Rust. It has a client with a method for each call.

    Args:
        name: the library's name.
        roma_host_api: what `declare_roma_api` returned.
        crate_name: the crate's name; the library's name by default.
        **kwargs: passed to `rust_library`, such as `visibility` and `tags`.
    """
    crate_name = crate_name or name
    _rust_service_library(name, roma_host_api, "host", crate_name, Label("//src/byob"), **kwargs)
    _rust_service_library(
        name + "_udf",
        roma_host_api,
        "host-client",
        crate_name + "_udf",
        Label("//src/udf:roma_udf"),
        **kwargs
    )
