//! Command line of the code generator, for build systems.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use clap::{Parser, ValueEnum};
use roma_codegen::{
    DescriptorSet, ExternFile, Language, cc_client_source, client_source, example_source,
    host_client_source, host_source, markdown, prost_source,
};

/// Turns protobuf descriptor sets into one file: Rust source, or a page about an API.
#[derive(Parser)]
struct Arguments {
    /// A serialised FileDescriptorSet. Together they must hold the files and their imports.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    descriptor_set: Vec<PathBuf>,

    /// What to generate.
    #[arg(long, value_enum, default_value_t = Output::Messages)]
    make: Output,

    /// A proto file to generate from, by the name under which other files import it. Only messages can be
    /// generated from several at once.
    #[arg(long, required = true, num_args = 1.., value_name = "PROTO")]
    file: Vec<String>,

    /// A proto file whose types are in another crate.
    #[arg(long = "extern", num_args = 1.., value_name = "CRATE=PROTO")]
    externs: Vec<ExternFile>,

    /// The service, if the file declares several.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,

    /// The rustfmt that formats Rust source. Without one the format is only close to rustfmt's.
    #[arg(long, value_name = "PROGRAM")]
    rustfmt: Option<PathBuf>,

    /// The output file.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// What to generate.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A crate with the files' messages and enums.
    Messages,
    /// A crate with a client of a service that UDFs implement.
    Client,
    /// A C++ header with the same client.
    CcClient,
    /// A crate for the host of a service that UDFs call.
    Host,
    /// A crate for UDFs that call such a service.
    HostClient,
    /// A page in Markdown about a service.
    Markdown,
    /// An example UDF in C++.
    CcExample,
    /// An example UDF in Rust.
    RustExample,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut descriptors = DescriptorSet::default();
    for path in &arguments.descriptor_set {
        descriptors.read(path)?;
    }
    let mut text = generate(&arguments, &descriptors)?;
    if let Some(rustfmt) = &arguments.rustfmt {
        text = formatted(rustfmt, &text)
            .with_context(|| format!("cannot format with {}", rustfmt.display()))?;
    }
    fs::write(&arguments.out, text)
        .with_context(|| format!("cannot write {}", arguments.out.display()))
}

fn formatted(rustfmt: &Path, source: &str) -> anyhow::Result<String> {
    let mut child = Command::new(rustfmt)
        .arg("--edition=2024")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    // rustfmt reads all input before it writes, so this cannot block.
    let mut input = child.stdin.take().context("it has no standard input")?;
    input.write_all(source.as_bytes())?;
    drop(input);
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "it ended with {}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

fn generate(arguments: &Arguments, descriptors: &DescriptorSet) -> anyhow::Result<String> {
    let externs = &arguments.externs;
    let service = arguments.service.as_deref();
    if arguments.make == Output::Messages {
        return Ok(prost_source(descriptors, &arguments.file, externs)?);
    }
    let [file] = arguments.file.as_slice() else {
        bail!(
            "--file must name exactly one file for this output: the one that declares the service"
        );
    };
    Ok(match arguments.make {
        Output::Client => client_source(descriptors, file, service, externs),
        Output::CcClient => cc_client_source(descriptors, file, service),
        Output::Host => host_source(descriptors, file, service, externs),
        Output::HostClient => host_client_source(descriptors, file, service, externs),
        Output::Markdown => markdown(descriptors, file, service),
        Output::CcExample => example_source(descriptors, file, service, Language::Cc),
        Output::RustExample => example_source(descriptors, file, service, Language::Rust),
        Output::Messages => prost_source(descriptors, &arguments.file, externs),
    }?)
}
