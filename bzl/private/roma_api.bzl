"""Libraries that are generated from an API: typed clients for services whose calls UDFs answer, and both sides
of services that UDFs call.

    load("@roma//bzl:defs.bzl", "declare_roma_api", "roma_byob_app_api_rust_library", "rust_proto_library")
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
`roma_byob_app_api_cc_library` makes a C++ library with a class of that name.

`roma_host_api_rust_library` is for the other direction: functions of the integrator that UDFs call.
"""

load("@rules_cc//cc:defs.bzl", "cc_library")
load("@rules_rust//rust:defs.bzl", "rust_library")
load(":attributes.bzl", "common_attributes")
load(":codegen.bzl", "CODEGEN_ATTRS", "CODEGEN_TOOLCHAINS", "declaring_file", "generate")
load(":proto.bzl", "source_label")

visibility(["//bzl"])

def declare_roma_api(proto, proto_basename, rust_protos = [], service = None, host_apis = [], cc_protos = []):
    """Declares an API. The other macros take the value that it returns.

    Args:
        proto: the `proto_library` with the service.
        proto_basename: the name, without folder and `.proto`, of the file that declares the service.
        rust_protos: the `rust_proto_library` targets with the messages of its calls, for libraries in Rust.
        service: the service, if the file declares several.
        host_apis: other APIs, declared the same way, that UDFs may call.
        cc_protos: the `cc_proto_library` targets with the messages, for libraries in C++.

    Returns:
        a struct with these fields.
    """
    return struct(
        proto = proto,
        proto_basename = proto_basename,
        rust_protos = rust_protos,
        service = service,
        host_apis = host_apis,
        cc_protos = cc_protos,
    )

def _service_source_impl(ctx):
    arguments = ctx.actions.args()
    arguments.add("--file", declaring_file(ctx))
    if ctx.attr.service:
        arguments.add("--service", ctx.attr.service)
    return [DefaultInfo(files = depset([generate(ctx, ctx.attr.make, arguments, ctx.attr.extension)]))]

_service_source = rule(
    implementation = _service_source_impl,
    doc = "Generates source for one side of one service.",
    attrs = CODEGEN_ATTRS | {
        "extension": attr.string(mandatory = True, doc = "The extension of the source's name, which begins with the target's name."),
        "make": attr.string(mandatory = True, doc = "The side: see the generator's --help."),
        "proto_basename": attr.string(mandatory = True, doc = "The name, without folder and `.proto`, of the file with the service."),
        "service": attr.string(doc = "The service, if the file declares several."),
    },
    toolchains = CODEGEN_TOOLCHAINS,
)

def _rust_service_library(name, api, make, crate_name, runtime, **kwargs):
    source = "%s_%s_source" % (name, make)
    _service_source(
        name = source,
        extension = ".rs",
        make = make,
        proto = api.proto,
        proto_basename = api.proto_basename,
        service = api.service,
        deps = [source_label(dep) for dep in api.rust_protos],
        **common_attributes(kwargs)
    )
    rust_library(
        name = name,
        srcs = [source],
        crate_name = crate_name,
        deps = api.rust_protos + [runtime],
        **kwargs
    )

def roma_byob_app_api_rust_library(name, roma_app_api, crate_name = None, **kwargs):
    """Makes a Rust crate with a typed client of an API.

    The client has a method for each call, and `create`, `register`, `register_for_logging`, `delete`,
    `cancel` and `shutdown`. For a proto that is not supported (calls that stream, names that clash), the build
    fails with its file and line.

    Args:
        name: the library's name.
        roma_app_api: the value of `declare_roma_api`.
        crate_name: the crate's name; the library's name by default.
        **kwargs: passed to `rust_library`, such as `visibility` and `tags`.
    """
    _rust_service_library(name, roma_app_api, "client", crate_name or name, Label("//src/byob"), **kwargs)

def roma_byob_app_api_cc_library(name, roma_app_api, **kwargs):
    """Makes a C++ library with a typed client of an API, for integrators who do not write Rust.

        load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_proto_library")

        cc_proto_library(
            name = "greeting_cc_proto",
            deps = [":greeting_proto"],
        )

        roma_byob_app_api_cc_library(
            name = "greeting_cc_client",
            roma_app_api = declare_roma_api(
                cc_protos = [":greeting_cc_proto"],
                proto = ":greeting_proto",
                proto_basename = "greeting",
            ),
        )

    The library's header has the library's name. It declares the class `ByobGreetingService`, with the calls of
    the C++ system: `Create`, `Register`, `RegisterForLogging`, `Delete`, `Cancel`, and for each call of the API a
    method that notifies and one that calls back. `src/ffi/roma_byob.hpp` documents them. The namespace is the
    proto's package, or the value of the annotation `cpp_namespace`.

    The implementation is a Rust library, linked statically. A program can link only one: several APIs share it,
    but it cannot be combined with another static library written in Rust.

    Args:
        name: the library's name.
        roma_app_api: the value of `declare_roma_api`, with `cc_protos`.
        **kwargs: passed to `cc_library`, such as `visibility` and `tags`.
    """
    if not roma_app_api.cc_protos:
        fail("%s: declare_roma_api needs cc_protos, the cc_proto_library targets with the messages" % name)
    header = name + ".h"
    _service_source(
        name = header,
        extension = "",
        make = "cc-client",
        proto = roma_app_api.proto,
        proto_basename = roma_app_api.proto_basename,
        service = roma_app_api.service,
        **common_attributes(kwargs)
    )
    cc_library(
        name = name,
        hdrs = [header],
        deps = roma_app_api.cc_protos + [Label("//src/ffi:cc")],
        **kwargs
    )

def roma_host_api_rust_library(name, roma_host_api, crate_name = None, **kwargs):
    """Makes two Rust crates for an API that UDFs call: one for the host, one for UDFs.

    The crate `name` has a trait with an async method for each call, which the integrator implements, and a
    function `register`, which adds the implementation to a service:

        let config = profiles_host::register(Service::builder(), Profiles::new());

    UDFs can call it if their code is loaded with `LoadOptions::calling_host`. The methods see the metadata of
    the execution that calls them; UDFs never do.

    The crate `<name>_udf` is for UDFs in Rust. It has a client with a method for each call.

    Args:
        name: the library's name.
        roma_host_api: the value of `declare_roma_api`.
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
