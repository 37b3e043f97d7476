//! The program inside Roma's outer sandbox.
//!
//! Standard input is the control connection ([`roma_protocol::control`]). With `--isolate` the program
//! enters namespaces of its own, for hosts without an outer sandbox.

use std::process::ExitCode;

fn main() -> ExitCode {
    match roma_run_workers::Options::parse(std::env::args_os().skip(1)) {
        Some(options) => roma_run_workers::run(options),
        None => {
            eprintln!(
                "usage: run_workers [--isolate] <&control-socket (started by Roma, not by hand)"
            );
            ExitCode::from(2)
        }
    }
}
