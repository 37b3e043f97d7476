# Guide to the SDK

{{intro}}
This is all that you need to write a program (a *UDF*) that answers the API `{{api}}`. A UDF is started once
for each request, in a sandbox. It reads one message, writes one message, and exits.

| path | contents |
|---|---|
| `specs/udf_interface.proto` | the service and its messages, beside the protos that it imports; `udf_interface.binpb` describes them to tools |
| `docs/udf/interface.md` | the same, to read |
| [`docs/udf/index.md`](docs/udf/index.md) | how a UDF talks to its host, what it finds in its sandbox, and what it may do there |
| `docs/udf/runtime.md` | how this host runs it |
| `examples/cc`, `examples/rust` | a UDF to begin with, in C++ and in Rust |
| `helpers/` | the helper for each language that the examples use |

## C++

You need a C++17 compiler, protobuf with its static library, and its compiler `protoc` (on Debian:
`apt-get install g++ protobuf-compiler libprotobuf-dev zlib1g-dev`).

    sh examples/cc/build.sh udf

compiles `examples/cc/udf.cc` to the program `udf`; the script is two commands. Fill in `Answer()`.

## Rust

You need Rust {{oldest_rust}} or newer, and no registry: all crates are here.

    sh examples/rust/build.sh udf

compiles `examples/rust/main.rs` to the program `udf`. Fill in `answer()`. Keep your program in this folder,
because its `.cargo/config.toml` says where the crates are.

## Go

`helpers/go` has packages that speak the protocol, and a program that uses them. Begin with
[a first UDF](docs/udf/first-udf.md#go).

## Another language

`docs/udf/communication.md` describes what a UDF has to do, byte by byte. It is about twenty lines in any
language that can be linked statically.
