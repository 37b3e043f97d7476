//! Tests of the image's programs.

use std::collections::BTreeMap;
use std::env;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::wait;
use nix::unistd::Pid;

use crate::container::{Becoming, Container, Report};
use crate::expand::expand;
use crate::layout::Image;
use crate::suite::{CommandTest, Suite};
use crate::text;
use crate::user::{self, User};

/// The `PATH` of programs if the image sets none.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The base of a shell's exit codes for signals.
const SIGNALLED: i32 = 128;

/// Runs one test.
#[must_use]
pub fn check(test: &CommandTest, suite: &Suite, image: &Image) -> Report {
    Run::new(test, suite, image)
        .and_then(|run| run.report(test, image))
        .unwrap_or_else(|error| Report {
            problems: vec![format!("{error:#}")],
            ..Report::default()
        })
}

/// The common properties of a test's commands.
struct Run {
    variables: BTreeMap<String, String>,
    user: User,
    workdir: PathBuf,
    privileged: bool,
}

/// The result of a command: its exit code and output.
struct Ended {
    code: i32,
    output: Vec<u8>,
    error: Vec<u8>,
}

impl Run {
    fn new(test: &CommandTest, suite: &Suite, image: &Image) -> Result<Self> {
        let options = &suite.container_run_options;
        let settings = &image.settings;
        let of_image = settings.variables();
        let mut variables = of_image.clone();
        for one in suite.global_env_vars.iter().chain(&test.env_vars) {
            variables.insert(one.key.clone(), expand(&one.value, &of_image));
        }
        let given = options
            .env_vars
            .iter()
            .filter_map(|name| Some((name.clone(), env::var(name).ok()?)));
        variables.extend(given);
        Ok(Self {
            variables,
            user: user::find(options.user.as_ref().unwrap_or(&settings.user), &image.tree)?,
            workdir: Path::new("/").join(&settings.working_dir),
            privileged: options.privileged,
        })
    }

    fn report(&self, test: &CommandTest, image: &Image) -> Result<Report> {
        let container = Container {
            tree: &image.tree,
            user: self.user.clone(),
            workdir: self.workdir.clone(),
            privileged: self.privileged,
        };
        container.run(|becoming, report| {
            self.run_all("setup", &test.setup, becoming, report)?;
            let words = [std::slice::from_ref(&test.command), &test.args].concat();
            report
                .problems
                .extend(judge(test, &self.run(&words, becoming)?));
            self.run_all("teardown", &test.teardown, becoming, report)
        })
    }

    /// Runs the commands of setup or teardown. As in Google's tool, their exit codes do not fail
    /// the test.
    fn run_all(
        &self,
        what: &str,
        commands: &[Vec<String>],
        becoming: Becoming,
        report: &mut Report,
    ) -> Result<()> {
        for words in commands {
            let ended = self.run(words, becoming).context(what.to_owned())?;
            if ended.code != 0 {
                let error = String::from_utf8_lossy(&ended.error);
                report.notes.push(format!(
                    "{what} {words:?} ended with {}: {error:?}",
                    ended.code
                ));
            }
        }
        Ok(())
    }

    fn run(&self, words: &[String], becoming: Becoming) -> Result<Ended> {
        // Files rather than pipes, because a daemon that remains would keep a pipe open.
        let (mut output, mut error) = (new_file()?, new_file()?);
        let mut command = self.command(words, becoming)?;
        command
            .stdin(new_file()?)
            .stdout(output.try_clone()?)
            .stderr(error.try_clone()?);
        let status = command.status();
        let status = status
            .with_context(|| format!("{} cannot be started", command.get_program().display()))?;
        end_the_rest();
        let code = status
            .code()
            .or(status.signal().map(|signal| SIGNALLED + signal));
        Ok(Ended {
            code: code.unwrap_or(-1),
            output: content(&mut output)?,
            error: content(&mut error)?,
        })
    }

    fn command(&self, words: &[String], becoming: Becoming) -> Result<Command> {
        let mut words = words.iter().map(|word| expand(word, &self.variables));
        let mut command = Command::new(words.next().context("an empty command")?);
        command
            .args(words)
            .env_clear()
            .env("PATH", PATH)
            .env("HOME", &self.user.home)
            .envs(&self.variables)
            .current_dir(&self.workdir);
        if becoming == Becoming::Change {
            command.uid(self.user.uid).gid(self.user.gid);
        }
        Ok(command)
    }
}

fn judge(test: &CommandTest, ended: &Ended) -> Vec<String> {
    let (output, error) = (&ended.output, &ended.error);
    let mut problems = text::check(
        "output",
        output,
        &test.expected_output,
        &test.excluded_output,
    );
    problems.extend(text::check(
        "error output",
        error,
        &test.expected_error,
        &test.excluded_error,
    ));
    if ended.code != test.exit_code {
        problems.push(format!(
            "exit code: expected {}, is {}",
            test.exit_code, ended.code
        ));
    }
    if !problems.is_empty() {
        problems.push(text::shown("output", output));
        problems.push(text::shown("error output", error));
    }
    problems
}

/// Kills all other processes of the container, as the end of its command would.
fn end_the_rest() {
    // Outside its own process namespace, this would kill unrelated processes.
    if Pid::this().as_raw() == 1 && kill(Pid::from_raw(-1), Signal::SIGKILL).is_ok() {
        while wait().is_ok() {}
    }
}

/// Creates a file in memory.
fn new_file() -> Result<File> {
    Ok(File::from(memfd_create(
        "structure-test",
        MFdFlags::MFD_CLOEXEC,
    )?))
}

fn content(file: &mut File) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut content)?;
    Ok(content)
}
