//! Runs container structure tests, in the format of Google's tool, against an image in the OCI image
//! layout, without a container engine.
//!
//! Prints a line for each test and exits with 0 if all passed, with 1 if one failed, and with 2 if
//! there is something wrong with the image or a test file.

mod command;
mod container;
mod expand;
mod files;
mod layout;
mod metadata;
mod mode;
mod pattern;
mod suite;
mod tree;
mod user;

use anyhow::{Context, Result, bail};
use container::Report;
use layout::Image;
use std::env;
use std::path::PathBuf;
use std::process::ExitCode;
use suite::Suite;

const USAGE: &str = "usage: roma-structure-test IMAGE TEST_FILE...";

/// A test that was run.
struct Done {
    name: String,
    report: Report,
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("roma-structure-test: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Whether all passed.
fn run() -> Result<bool> {
    let mut arguments = env::args_os().skip(1).map(PathBuf::from);
    let image = arguments.next().context(USAGE)?;
    let suites = arguments
        .map(|file| suite::read(&file))
        .collect::<Result<Vec<_>>>()?;
    if suites.is_empty() {
        bail!(USAGE);
    }
    let image = layout::read(&image).context("the image cannot be read")?;
    let done: Vec<Done> = suites
        .iter()
        .flat_map(|suite| run_suite(suite, &image))
        .collect();
    let failed = done
        .iter()
        .filter(|done| !done.report.problems.is_empty())
        .count();
    println!("{} tests passed, {failed} failed", done.len() - failed);
    if done.is_empty() {
        bail!("the test files have no test");
    }
    Ok(failed == 0)
}

fn run_suite(suite: &Suite, image: &Image) -> Vec<Done> {
    let mut done = Vec::new();
    let mut add = |name: String, report: Report| done.push(Done { name, report }.printed());
    let plain = |problems| Report {
        problems,
        ..Report::default()
    };
    if let Some(test) = &suite.metadata_test {
        add(
            "metadata".to_owned(),
            plain(metadata::check(test, &image.settings)),
        );
    }
    for test in &suite.file_existence_tests {
        add(
            format!("file existence: {}", test.name),
            plain(files::check_existence(test, image)),
        );
    }
    for test in &suite.file_content_tests {
        add(
            format!("file content: {}", test.name),
            plain(files::check_content(test, image)),
        );
    }
    for test in &suite.license_tests {
        add(
            "licences".to_owned(),
            plain(files::check_licences(test, &image.tree)),
        );
    }
    for test in &suite.command_tests {
        add(
            format!("command: {}", test.name),
            command::check(test, suite, image),
        );
    }
    done
}

impl Done {
    fn printed(self) -> Self {
        let passed = self.report.problems.is_empty();
        println!("{}  {}", if passed { "PASS" } else { "FAIL" }, self.name);
        for problem in &self.report.problems {
            println!("      {problem}");
        }
        for note in &self.report.notes {
            println!("      note: {note}");
        }
        self
    }
}
