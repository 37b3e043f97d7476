//! `run_workers` that fails at the steps in the environment variable `ROMA_FAULT`: `step=errno`,
//! separated by commas. For tests; never shipped.

use std::process::ExitCode;

use nix::errno::Errno;
use roma_sandbox::step::Step;

fn main() -> ExitCode {
    for fault in std::env::var("ROMA_FAULT").unwrap_or_default().split(',') {
        if let Some((step, errno)) = parse(fault) {
            roma_sandbox::step::provoke(step, errno);
        }
    }
    match roma_run_workers::Options::parse(std::env::args_os().skip(1)) {
        Some(options) => roma_run_workers::run(options),
        None => ExitCode::from(2),
    }
}

fn parse(fault: &str) -> Option<(Step, Errno)> {
    let (name, errno) = fault.split_once('=')?;
    let step = Step::ALL.iter().find(|step| step.name() == name)?;
    Some((*step, Errno::from_raw(errno.parse().ok()?)))
}
