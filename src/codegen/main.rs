//! Command line of the code generator, for build systems.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use roma_codegen::{DescriptorSet, ExternFile, client_source, prost_source};

/// Turns protobuf descriptor sets into one self-contained Rust source file.
#[derive(Parser)]
struct Arguments {
    /// A serialised FileDescriptorSet. All of them together must hold the files and their imports.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    descriptor_set: Vec<PathBuf>,

    /// A proto file to generate code for, by the name that other files import it by.
    #[arg(long, required_unless_present = "client", num_args = 1.., value_name = "PROTO")]
    file: Vec<String>,

    /// A proto file whose types are in another crate.
    #[arg(long = "extern", num_args = 1.., value_name = "CRATE=PROTO")]
    externs: Vec<ExternFile>,

    /// Generate a client of a service in this proto file instead, whose messages are all in other
    /// crates.
    #[arg(long, value_name = "PROTO", conflicts_with = "file")]
    client: Option<String>,

    /// The service, where the file declares several.
    #[arg(long, value_name = "NAME", requires = "client")]
    service: Option<String>,

    /// Where to write the source.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut descriptors = DescriptorSet::default();
    for path in &arguments.descriptor_set {
        descriptors.read(path)?;
    }
    let externs = &arguments.externs;
    let source = match &arguments.client {
        Some(file) => client_source(&descriptors, file, arguments.service.as_deref(), externs)?,
        None => prost_source(&descriptors, &arguments.file, externs)?,
    };
    fs::write(&arguments.out, source)
        .with_context(|| format!("cannot write {}", arguments.out.display()))
}
