//! Command line of the code generator, for build systems.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use roma_codegen::{DescriptorSet, ExternFile, prost_source};

/// Turns protobuf descriptor sets into one self-contained Rust source file.
#[derive(Parser)]
struct Arguments {
    /// A serialised FileDescriptorSet. All of them together must hold the files and their imports.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    descriptor_set: Vec<PathBuf>,

    /// A proto file to generate code for, by the name that other files import it by.
    #[arg(long, required = true, num_args = 1.., value_name = "PROTO")]
    file: Vec<String>,

    /// A proto file whose types are in another crate.
    #[arg(long = "extern", num_args = 1.., value_name = "CRATE=PROTO")]
    externs: Vec<ExternFile>,

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
    let source = prost_source(&descriptors, &arguments.file, &arguments.externs)?;
    fs::write(&arguments.out, source)
        .with_context(|| format!("cannot write {}", arguments.out.display()))
}
