//! `roma doctor`: whether Roma works on this machine, and how to fix what does not.

mod judge;
mod machine;
mod programs;
mod proof;
mod run_dir;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use roma_byob::{Mode, Service, ServiceBuilder};
use serde_json::{Value, json};

use crate::output::checks::{Check, Verdict, table};
use crate::output::terminal::{colours, end_progress};
use machine::Machine;

/// What to check.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 if the asked-for mode works, 1 if it does not, 2 for a wrong use.

Each line is `ok`, `weak` (it works, with less), `missing`, `failed` (it is there
and broken) or `skipped`. The line below one that is not ok says how to fix it.")]
pub struct DoctorArgs {
    /// The mode that must work for the exit code to be 0. Both are tried.
    #[arg(long, value_enum, default_value_t)]
    mode: Wanted,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// The program run_workers. By default $ROMA_RUN_WORKERS, beside this program, or in $PATH.
    #[arg(long)]
    run_workers: Option<PathBuf>,
    /// gVisor's program runsc. By default $ROMA_RUNSC, beside this program, or in $PATH.
    #[arg(long)]
    runsc: Option<PathBuf>,
    /// A UDF that answers an echo request. By default $ROMA_ECHO_UDF or echo_udf beside this program.
    #[arg(long)]
    udf: Option<PathBuf>,
}

/// The modes that can be required.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Wanted {
    #[default]
    Gvisor,
    Minimal,
}

impl From<Wanted> for Mode {
    fn from(wanted: Wanted) -> Self {
        match wanted {
            Wanted::Gvisor => Self::Gvisor,
            Wanted::Minimal => Self::Minimal,
        }
    }
}

impl DoctorArgs {
    /// Returns a builder with the named programs, which ignores the environment's mode.
    fn builder(&self) -> ServiceBuilder {
        let mut builder = Service::builder().obey_environment(false).banner(false);
        if let Some(path) = &self.run_workers {
            builder = builder.run_workers(path);
        }
        if let Some(path) = &self.runsc {
            builder = builder.runsc(path);
        }
        builder
    }
}

/// Runs all checks and prints the result.
pub async fn run(arguments: DoctorArgs) -> anyhow::Result<ExitCode> {
    let wanted = Mode::from(arguments.mode);
    let (checks, works) = examine(&arguments, wanted).await;
    match arguments.json {
        true => println!("{:#}", report(wanted, works, &checks)),
        false => {
            print!("{}", table(&checks, colours()));
            let verb = if works { "works" } else { "does not work" };
            println!("\nMode {wanted} {verb} on this machine.");
        }
    }
    Ok(ExitCode::from(u8::from(!works)))
}

async fn examine(arguments: &DoctorArgs, wanted: Mode) -> (Vec<Check>, bool) {
    let mut checks = judge::machine(&Machine::look());
    checks.extend(environment(std::env::var("DISABLE_GVISOR").ok()));
    let (programs, found) = programs::look(arguments);
    checks.extend(found);
    checks.push(run_dir::look(arguments));
    checks.extend(proof::platforms(arguments, &programs).await);
    let mut works = false;
    for mode in [Mode::Gvisor, Mode::Minimal] {
        let check = proof::mode(mode, arguments, &programs, &checks).await;
        works |= mode == wanted && check.verdict == Verdict::Ok;
        checks.push(check);
    }
    end_progress();
    (checks, works)
}

/// Checks that no environment variable overrides the mode of services.
fn environment(disable_gvisor: Option<String>) -> Option<Check> {
    let value = disable_gvisor?;
    let found = format!("DISABLE_GVISOR is `{value}`: `true` or `1` turn gVisor off");
    Some(Check::weak("environment", found).fix("unset DISABLE_GVISOR"))
}

fn report(wanted: Mode, works: bool, checks: &[Check]) -> Value {
    json!({
        "mode": wanted.to_string(),
        "works": works,
        "checks": checks.iter().map(Check::json).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_turns_gvisor_off_is_reported() {
        assert_eq!(environment(None), None);
        assert_eq!(
            environment(Some("true".into())).unwrap().verdict,
            Verdict::Weak
        );
    }
}
