//! The format of a test file. Unknown keys are errors.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde::de::{Deserializer, Error};

use crate::pattern::Pattern;

const SCHEMA: &str = "2.0.0";

/// A test file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Suite {
    schema_version: String,
    /// The variables of all commands.
    #[serde(default)]
    pub global_env_vars: Vec<Variable>,
    /// How commands are run.
    #[serde(default)]
    pub container_run_options: RunOptions,
    /// The test of the image's settings.
    pub metadata_test: Option<MetadataTest>,
    /// The tests of files' existence and metadata.
    #[serde(default)]
    pub file_existence_tests: Vec<FileExistenceTest>,
    /// The tests of files' contents.
    #[serde(default)]
    pub file_content_tests: Vec<FileContentTest>,
    /// The tests of licences.
    #[serde(default)]
    pub license_tests: Vec<LicenseTest>,
    /// The tests of programs.
    #[serde(default)]
    pub command_tests: Vec<CommandTest>,
}

/// An environment variable.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// The name.
    pub key: String,
    /// The value, in which variables of the image are replaced.
    #[serde(default)]
    pub value: String,
}

/// How commands are run.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunOptions {
    /// The user, instead of the image's.
    pub user: Option<String>,
    /// Whether commands keep all capabilities of the runner.
    #[serde(default)]
    pub privileged: bool,
    /// The variables that are taken from the test's own environment.
    #[serde(default)]
    pub env_vars: Vec<String>,
}

/// The expected settings of the image.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MetadataTest {
    /// Environment variables.
    #[serde(default, alias = "env")]
    pub env_vars: Vec<Expected>,
    /// Variables that must not be set.
    #[serde(default)]
    pub unbound_env_vars: Vec<Variable>,
    /// Labels.
    #[serde(default)]
    pub labels: Vec<Expected>,
    /// Ports, with or without their protocol.
    #[serde(default)]
    pub exposed_ports: Vec<String>,
    /// Ports that must not be exposed.
    #[serde(default)]
    pub unexposed_ports: Vec<String>,
    /// Directories that hold data.
    #[serde(default)]
    pub volumes: Vec<String>,
    /// Directories that must not be volumes.
    #[serde(default)]
    pub unmounted_volumes: Vec<String>,
    /// The program to start.
    pub entrypoint: Option<Vec<String>>,
    /// The arguments that a user may replace.
    pub cmd: Option<Vec<String>>,
    /// The directory to start in.
    #[serde(default)]
    pub workdir: String,
    /// The user to run as.
    #[serde(default)]
    pub user: String,
}

/// A name and its expected value.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Pair")]
pub struct Expected {
    /// The name.
    pub key: String,
    /// The value.
    pub value: Value,
}

/// An expected value.
#[derive(Debug)]
pub enum Value {
    /// Exactly this text.
    Exactly(String),
    /// A text that matches.
    Like(Pattern),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Pair {
    key: String,
    #[serde(default)]
    value: String,
    #[serde(default)]
    is_regex: bool,
}

impl TryFrom<Pair> for Expected {
    type Error = regex::Error;

    fn try_from(pair: Pair) -> Result<Self, Self::Error> {
        let value = match pair.is_regex {
            true => Value::Like(Pattern::new(&pair.value)?),
            false => Value::Exactly(pair.value),
        };
        Ok(Self {
            key: pair.key,
            value,
        })
    }
}

/// A test of a file's existence and metadata.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileExistenceTest {
    /// The test's name.
    #[serde(deserialize_with = "not_empty")]
    pub name: String,
    /// The file's path.
    #[serde(deserialize_with = "not_empty")]
    pub path: String,
    /// Whether the file must exist, or must not.
    #[serde(default = "yes")]
    pub should_exist: bool,
    /// The permissions, in the form that Go prints.
    #[serde(default)]
    pub permissions: String,
    /// The owner.
    pub uid: Option<u32>,
    /// The owner's group.
    pub gid: Option<u32>,
    /// The class that may execute it.
    pub is_executable_by: Option<Class>,
}

/// A class of users that permissions apply to.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Class {
    /// The owner.
    Owner,
    /// The group.
    Group,
    /// Everyone else.
    Other,
    /// At least one of them.
    Any,
}

/// A test of a file's content.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileContentTest {
    /// The test's name.
    #[serde(deserialize_with = "not_empty")]
    pub name: String,
    /// The file's path.
    #[serde(deserialize_with = "not_empty")]
    pub path: String,
    /// What must match.
    #[serde(default)]
    pub expected_contents: Vec<Pattern>,
    /// What must not match.
    #[serde(default)]
    pub excluded_contents: Vec<Pattern>,
}

/// A test that licences are acceptable.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LicenseTest {
    /// Whether to check all Debian packages.
    #[serde(default)]
    pub debian: bool,
    /// The files to check.
    #[serde(default)]
    pub files: Vec<String>,
}

/// A test of a program.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CommandTest {
    /// The test's name.
    #[serde(deserialize_with = "not_empty")]
    pub name: String,
    /// Commands to run before.
    #[serde(default)]
    pub setup: Vec<Vec<String>>,
    /// Commands to run afterwards.
    #[serde(default)]
    pub teardown: Vec<Vec<String>>,
    /// Additional environment variables.
    #[serde(default)]
    pub env_vars: Vec<Variable>,
    /// The program.
    #[serde(deserialize_with = "not_empty")]
    pub command: String,
    /// Its arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// What its standard output must match.
    #[serde(default)]
    pub expected_output: Vec<Pattern>,
    /// What its standard output must not match.
    #[serde(default)]
    pub excluded_output: Vec<Pattern>,
    /// What its standard error must match.
    #[serde(default)]
    pub expected_error: Vec<Pattern>,
    /// What its standard error must not match.
    #[serde(default)]
    pub excluded_error: Vec<Pattern>,
    /// The expected exit code.
    #[serde(default)]
    pub exit_code: i32,
}

/// Reads a test file.
pub fn read(file: &Path) -> Result<Suite> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    parse(&text).with_context(|| file.display().to_string())
}

fn parse(text: &str) -> Result<Suite> {
    let suite: Suite = serde_norway::from_str(text)?;
    if suite.schema_version != SCHEMA {
        bail!(
            "schemaVersion is {}; this runner supports {SCHEMA}",
            suite.schema_version
        );
    }
    for test in &suite.command_tests {
        if test.setup.iter().chain(&test.teardown).any(Vec::is_empty) {
            bail!(
                "the test `{}` has an empty setup or teardown command",
                test.name
            );
        }
    }
    Ok(suite)
}

fn yes() -> bool {
    true
}

fn not_empty<'a, D: Deserializer<'a>>(from: D) -> Result<String, D::Error> {
    match String::deserialize(from)? {
        text if text.is_empty() => Err(D::Error::custom("must not be empty")),
        text => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        format!("{:#}", parse(text).unwrap_err())
    }

    #[test]
    fn numbers_are_accepted_as_text() {
        let suite = parse(
            "schemaVersion: 2.0.0\n\
             metadataTest: {user: 65532, exposedPorts: [8080]}\n\
             commandTests: [{name: 1, command: true, args: [-n, 1]}]\n",
        )
        .unwrap();
        let metadata = suite.metadata_test.unwrap();
        assert_eq!(
            (metadata.user.as_str(), metadata.exposed_ports[0].as_str()),
            ("65532", "8080")
        );
        assert_eq!(suite.command_tests[0].args, ["-n", "1"]);
    }

    #[test]
    fn an_empty_value_is_the_default() {
        let suite = parse("schemaVersion: 2.0.0\nfileContentTests:\ncommandTests: [{name: a, command: b, args: }]").unwrap();
        assert!(suite.file_content_tests.is_empty() && suite.command_tests[0].args.is_empty());
    }

    #[test]
    fn json_is_accepted() {
        assert!(parse(r#"{"schemaVersion": "2.0.0", "commandTests": []}"#).is_ok());
    }

    #[test]
    fn a_file_must_exist_by_default() {
        let suite =
            parse("schemaVersion: 2.0.0\nfileExistenceTests: [{name: a, path: /a}]").unwrap();
        assert!(suite.file_existence_tests[0].should_exist);
    }

    #[test]
    fn an_unknown_key_is_an_error_with_its_line() {
        for (text, name, line) in [
            ("schemaVersion: 2.0.0\nfileTests: []", "fileTests", "line 2"),
            (
                "schemaVersion: 2.0.0\nfileExistenceTests:\n- name: a\n  path: /a\n  mode: 1",
                "mode",
                "line 5",
            ),
            (
                "schemaVersion: 2.0.0\nfileContentTests:\n- {name: a, path: /a, contents: []}",
                "contents",
                "line 3",
            ),
            (
                "schemaVersion: 2.0.0\nmetadataTest:\n  ports: []",
                "ports",
                "line 3",
            ),
            (
                "schemaVersion: 2.0.0\nmetadataTest:\n  env: [{key: a, val: b}]",
                "val",
                "line 3",
            ),
            (
                "schemaVersion: 2.0.0\ncommandTests: [{name: a, command: b, timeout: 1}]",
                "timeout",
                "line 2",
            ),
            (
                "schemaVersion: 2.0.0\ncontainerRunOptions:\n  bindMounts: []",
                "bindMounts",
                "line 3",
            ),
        ] {
            let refusal = refusal(text);
            assert!(
                refusal.contains(&format!("unknown field `{name}`")),
                "{refusal}"
            );
            assert!(refusal.contains(line), "{refusal}");
        }
    }

    #[test]
    fn an_invalid_test_file_is_refused() {
        for (text, why) in [
            ("commandTests: []", "schemaVersion"),
            ("schemaVersion: 1.0.0", "this runner supports 2.0.0"),
            (
                "schemaVersion: 2.0.0\nfileContentTests: [{name: a, path: /a, expectedContents: ['(']}]",
                "regex",
            ),
            (
                "schemaVersion: 2.0.0\nmetadataTest: {labels: [{key: a, value: '(', isRegex: true}]}",
                "regex",
            ),
            (
                "schemaVersion: 2.0.0\nfileExistenceTests: [{name: '', path: /a}]",
                "must not be empty",
            ),
            (
                "schemaVersion: 2.0.0\nfileExistenceTests: [{name: a}]",
                "missing field `path`",
            ),
            (
                "schemaVersion: 2.0.0\nfileExistenceTests: [{name: a, path: b, isExecutableBy: me}]",
                "unknown variant `me`",
            ),
            (
                "schemaVersion: 2.0.0\ncommandTests: [{name: a, command: b, setup: [[]]}]",
                "empty setup",
            ),
        ] {
            let refusal = refusal(text);
            assert!(refusal.contains(why), "{refusal}");
        }
    }
}
