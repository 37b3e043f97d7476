//! Generates the crate's source for Cargo, without a protobuf compiler on the machine.

use std::env;
use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use roma_codegen::DescriptorSet;

/// Relative to the workspace's root, as all proto files import each other.
const PROTOS: [&str; 2] = [
    "sample_udf/proto/example.proto",
    "sample_udf/proto/sample.proto",
];

fn main() -> anyhow::Result<()> {
    let workspace = PathBuf::from(variable("CARGO_MANIFEST_DIR")?).join("../..");
    for proto in PROTOS {
        println!(
            "cargo::rerun-if-changed={}",
            workspace.join(proto).display()
        );
    }
    let mut descriptors = DescriptorSet::default();
    descriptors.merge(protox::compile(PROTOS, [workspace])?)?;
    let source = roma_codegen::prost_source(&descriptors, &PROTOS.map(String::from), &[])?;
    let out = PathBuf::from(variable("OUT_DIR")?).join("roma_sample_proto.rs");
    fs::write(&out, source).with_context(|| format!("cannot write {}", out.display()))
}

fn variable(name: &str) -> anyhow::Result<String> {
    env::var(name).with_context(|| format!("{name} is not set: is Cargo running this?"))
}
