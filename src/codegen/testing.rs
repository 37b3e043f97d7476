//! Compiles protos that exist only in a test.

use protox::Compiler;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

use crate::DescriptorSet;

const OPTIONS: &str = "privacysandbox/apis/roma/app_api/v1/options.proto";

/// Files by name and content.
struct Sources(Vec<(String, String)>);

impl FileResolver for Sources {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match self.0.iter().find(|(known, _)| known == name) {
            Some((name, content)) => File::from_source(name, content),
            None => Err(protox::Error::file_not_found(name)),
        }
    }
}

/// Compiles files, each given without its first line. They may import Roma's options.
pub(crate) fn compile(sources: &[(&str, &str)]) -> DescriptorSet {
    let mut files: Vec<_> = sources
        .iter()
        .map(|(name, rest)| (name.to_string(), format!("syntax = \"proto3\";\n{rest}")))
        .collect();
    let names: Vec<_> = files.iter().map(|(name, _)| name.clone()).collect();
    let options = include_str!("../../apis/privacysandbox/apis/roma/app_api/v1/options.proto");
    files.push((OPTIONS.into(), options.into()));

    let mut resolver = ChainFileResolver::new();
    resolver.add(Sources(files));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(names).unwrap();

    let mut descriptors = DescriptorSet::default();
    let encoded = compiler.encode_file_descriptor_set();
    descriptors.decode(&encoded, "the test").unwrap();
    descriptors
}

/// Asserts that `source` contains `part`, ignoring whitespace.
#[track_caller]
pub(crate) fn assert_has(source: &str, part: &str) {
    let squeeze = |text: &str| text.split_whitespace().collect::<String>();
    assert!(
        squeeze(source).contains(&squeeze(part)),
        "no {part} in\n{source}"
    );
}
