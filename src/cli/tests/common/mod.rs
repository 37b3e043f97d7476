//! Running the real tool, as a user would.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "each suite uses a part of this; a test fails by panicking"
)]

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

/// What a terminal shows in one line.
const WIDTH: usize = 80;

/// What the tool said.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self {
            code: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }
}

impl Said {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The check of this name, of a report in JSON.
    pub fn check(&self, name: &str) -> Value {
        let report = self.json();
        let checks = report["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["name"] == name);
        check
            .unwrap_or_else(|| panic!("no {name} in {report:#}"))
            .clone()
    }

    /// The verdict on that.
    pub fn verdict(&self, name: &str) -> String {
        self.check(name)["verdict"].as_str().unwrap().to_owned()
    }
}

/// Asserts that no line of a text is wider than a terminal.
#[track_caller]
pub fn assert_fits_a_terminal(text: &str) {
    for line in text.lines() {
        assert!(line.chars().count() <= WIDTH, "{line}");
    }
}

/// Returns the path of a sample UDF.
pub fn sample(name: &str) -> PathBuf {
    program("ROMA_ECHO_UDF").with_file_name(name)
}

/// The tool, to be given arguments.
pub fn roma() -> Command {
    let mut command = Command::new(program("ROMA"));
    command.env_remove("DISABLE_GVISOR");
    command
}

/// Runs it.
pub fn run(arguments: &[&str]) -> Said {
    roma().args(arguments).output().unwrap().into()
}

/// A file that the build made for these tests.
pub fn program(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set"));
    std::path::absolute(path).unwrap()
}
