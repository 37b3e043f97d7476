//! Runs container structure tests, in the format of Google's tool, against an image in the OCI
//! image layout, without a container engine.
//!
//! Prints a line for each test. Exits with 0 if all passed, with 1 if one failed, and with 2 if the
//! image or a test file is not valid.

mod command;
mod container;
mod copy;
mod expand;
mod files;
mod layout;
mod licences;
mod metadata;
mod mode;
mod pattern;
mod suite;
mod text;
mod tree;
mod user;

use std::collections::BTreeSet;
use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use container::Report;
use layout::Image;
use suite::Suite;

const USAGE: &str = "usage: roma-structure-test IMAGE TEST_FILE...";

/// The results so far.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
    notes: BTreeSet<String>,
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

/// Runs all tests. Returns whether all passed.
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
    let mut tally = Tally::default();
    for suite in &suites {
        run_suite(suite, &image, &mut tally);
    }
    let Tally { passed, failed, .. } = tally;
    println!("{passed} tests passed, {failed} failed");
    if passed + failed == 0 {
        bail!("the test files contain no tests");
    }
    Ok(failed == 0)
}

fn run_suite(suite: &Suite, image: &Image, tally: &mut Tally) {
    let plain = |problems| Report {
        problems,
        ..Report::default()
    };
    if let Some(test) = &suite.metadata_test {
        tally.add("metadata", plain(metadata::check(test, &image.settings)));
    }
    for test in &suite.file_existence_tests {
        tally.add(
            &format!("file existence: {}", test.name),
            plain(files::check_existence(test, image)),
        );
    }
    for test in &suite.file_content_tests {
        tally.add(
            &format!("file content: {}", test.name),
            plain(files::check_content(test, image)),
        );
    }
    for test in &suite.license_tests {
        tally.add("licences", plain(licences::check(test, &image.tree)));
    }
    for test in &suite.command_tests {
        tally.add(
            &format!("command: {}", test.name),
            command::check(test, suite, image),
        );
    }
}

impl Tally {
    fn add(&mut self, name: &str, report: Report) {
        let passed = report.problems.is_empty();
        println!("{}  {name}", if passed { "PASS" } else { "FAIL" });
        *(if passed {
            &mut self.passed
        } else {
            &mut self.failed
        }) += 1;
        for problem in report.problems {
            println!("      {problem}");
        }
        for note in report.notes {
            // The same note would follow every command.
            if self.notes.insert(note.clone()) {
                println!("      note: {note}");
            }
        }
    }
}
