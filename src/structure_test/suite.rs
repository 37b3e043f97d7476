//! What a test file may say. Anything else in it is an error.

use crate::pattern::Pattern;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde::de::{Deserializer, Error};
use std::fs;
use std::path::Path;

const SCHEMA: &str = "2.0.0";

/// A test file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Suite {
    schema_version: String,
    /// Variables of all commands.
    #[serde(default)]
    pub global_env_vars: Vec<Variable>,
    /// How commands are run.
    #[serde(default)]
    pub container_run_options: RunOptions,
    /// About the image's settings.
    pub metadata_test: Option<MetadataTest>,
    /// About files being there.
    #[serde(default)]
    pub file_existence_tests: Vec<FileExistenceTest>,
    /// About what is in files.
    #[serde(default)]
    pub file_content_tests: Vec<FileContentTest>,
    /// About licences.
    #[serde(default)]
    pub license_tests: Vec<LicenseTest>,
    /// About what programs do.
    #[serde(default)]
    pub command_tests: Vec<CommandTest>,
}

/// A variable of the environment.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// Its name.
    pub key: String,
    /// Its value, in which variables of the image are replaced.
    #[serde(default)]
    pub value: String,
}

/// How commands are run.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunOptions {
    /// As whom, rather than as the image says.
    pub user: Option<String>,
    /// With all the rights that the runner has.
    #[serde(default)]
    pub privileged: bool,
    /// Variables that the test's own environment gives.
    #[serde(default)]
    pub env_vars: Vec<String>,
}

/// What the image's settings have to be.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MetadataTest {
    /// Variables of the environment.
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
    /// Who to run as.
    #[serde(default)]
    pub user: String,
}

/// A name that must have a value.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Pair")]
pub struct Expected {
    /// The name.
    pub key: String,
    /// The value.
    pub value: Value,
}

/// What a value must be.
#[derive(Debug)]
pub enum Value {
    /// This one.
    Exactly(String),
    /// Such a one.
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

/// Whether a file is there, and how.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileExistenceTest {
    /// What the test is called.
    #[serde(deserialize_with = "not_empty")]
    pub name: String,
    /// Where.
    #[serde(deserialize_with = "not_empty")]
    pub path: String,
    /// Whether it must be there rather than must not.
    #[serde(default = "yes")]
    pub should_exist: bool,
    /// As Go prints them.
    #[serde(default)]
    pub permissions: String,
    /// The owner.
    pub uid: Option<u32>,
    /// The owner's group.
    pub gid: Option<u32>,
    /// Who may execute it.
    pub is_executable_by: Option<Class>,
}

/// One of those that permissions are for.
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

/// What is in a file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileContentTest {
    /// What the test is called.
    #[serde(deserialize_with = "not_empty")]
    pub name: String,
    /// Where.
    #[serde(deserialize_with = "not_empty")]
    pub path: String,
    /// What must be in it.
    #[serde(default)]
    pub expected_contents: Vec<Pattern>,
    /// What must not.
    #[serde(default)]
    pub excluded_contents: Vec<Pattern>,
}

/// Whether licences are such that may be used.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LicenseTest {
    /// Those of all Debian packages.
    #[serde(default)]
    pub debian: bool,
    /// Those in these files.
    #[serde(default)]
    pub files: Vec<String>,
}

/// What a program does.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CommandTest {
    /// What the test is called.
    #[serde(deserialize_with = "not_empty")]
    pub name: String,
    /// Commands to run before.
    #[serde(default)]
    pub setup: Vec<Vec<String>>,
    /// Commands to run afterwards.
    #[serde(default)]
    pub teardown: Vec<Vec<String>>,
    /// Its environment, beside the image's.
    #[serde(default)]
    pub env_vars: Vec<Variable>,
    /// The program.
    #[serde(deserialize_with = "not_empty")]
    pub command: String,
    /// Its arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// What it must write to its standard output.
    #[serde(default)]
    pub expected_output: Vec<Pattern>,
    /// What it must not.
    #[serde(default)]
    pub excluded_output: Vec<Pattern>,
    /// What it must write to its standard error.
    #[serde(default)]
    pub expected_error: Vec<Pattern>,
    /// What it must not.
    #[serde(default)]
    pub excluded_error: Vec<Pattern>,
    /// How it must end.
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
            "schemaVersion is {}; this runner knows {SCHEMA}",
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
    fn numbers_may_stand_for_texts() {
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
    fn what_is_left_empty_is_nothing() {
        let suite = parse("schemaVersion: 2.0.0\nfileContentTests:\ncommandTests: [{name: a, command: b, args: }]").unwrap();
        assert!(suite.file_content_tests.is_empty() && suite.command_tests[0].args.is_empty());
    }

    #[test]
    fn json_is_read_too() {
        assert!(parse(r#"{"schemaVersion": "2.0.0", "commandTests": []}"#).is_ok());
    }

    #[test]
    fn a_file_has_to_exist_unless_said_otherwise() {
        let suite =
            parse("schemaVersion: 2.0.0\nfileExistenceTests: [{name: a, path: /a}]").unwrap();
        assert!(suite.file_existence_tests[0].should_exist);
    }

    #[test]
    fn unknown_keys_are_named_with_their_line() {
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
    fn what_makes_no_sense_is_refused() {
        for (text, why) in [
            ("commandTests: []", "schemaVersion"),
            ("schemaVersion: 1.0.0", "this runner knows 2.0.0"),
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
