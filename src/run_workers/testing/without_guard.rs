//! `run_workers` without the guard whose name is appended to its own file. For tests; never shipped.

use std::process::ExitCode;

use roma_sandbox::guard;

/// Precedes the name. A program that contains this can be weakened; no shipped program contains it.
const MARK: &[u8] = b"\nwithout-guard:";

fn main() -> ExitCode {
    let own = std::env::args_os().next().unwrap_or_default();
    let own = std::fs::read(own).unwrap_or_default();
    let end = own
        .windows(MARK.len())
        .rposition(|bytes| bytes == MARK)
        .map(|at| String::from_utf8_lossy(&own[at + MARK.len()..]));
    match end.and_then(|name| guard::named(&name)) {
        Some(guard) => guard::disable(guard),
        None => return ExitCode::from(3),
    }
    match roma_run_workers::Options::parse(std::env::args_os().skip(1)) {
        Some(options) => roma_run_workers::run(options),
        None => ExitCode::from(2),
    }
}
