//! `run_workers`: prepares pools and starts one process for each request.
//!
//! There are three roles. Each is a process with a module of its own, and each is single-threaded and
//! waits in one place:
//!
//! - the `holder` (process 1 of its PID namespace) holds the control connection and creates pools. If
//!   there is no outer sandbox, `isolate` gives it namespaces of its own first;
//! - the first process of a `pool` (process 1 of the pool's PID namespace) creates the pool's `root`,
//!   receives the binary (`receive_code`), forks the spawners, and then makes `worker_roots` for them;
//! - a `spawner` gives up its `privileges`, starts workers, kills them and reports how they ended. It is
//!   not on the path of a request: host and worker talk directly.

mod control;
mod holder;
mod isolate;
mod live_workers;
mod pool;
mod privileges;
mod receive_code;
mod replies;
mod root;
mod spawner;
mod worker_roots;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Instant;

use control::Control;

/// The command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Enter namespaces of its own first, because there is no outer sandbox.
    pub isolate: bool,
}

impl Options {
    /// Parses the arguments. Returns `None` if one of them is unknown.
    pub fn parse(arguments: impl Iterator<Item = OsString>) -> Option<Self> {
        let mut options = Self::default();
        for argument in arguments {
            match argument.to_str()? {
                "--isolate" => options.isolate = true,
                _ => return None,
            }
        }
        Some(options)
    }
}

/// Runs until the control connection ends.
pub fn run(options: Options) -> ExitCode {
    let started = Instant::now();
    let control = Control(roma_sandbox::descriptors::take_standard_input());
    let context = match isolate::enter(options.isolate, control) {
        isolate::Entered::Inside(context) => context,
        isolate::Entered::Ended(code) => return code,
    };
    match holder::serve(context, started) {
        holder::Served::Ended(code) => code,
        holder::Served::InPool(config) => pool::run(*config),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Option<Options> {
        Options::parse(arguments.iter().map(OsString::from))
    }

    #[test]
    fn only_isolate_is_accepted_on_the_command_line() {
        assert_eq!(parse(&[]), Some(Options { isolate: false }));
        assert_eq!(parse(&["--isolate"]), Some(Options { isolate: true }));
        assert_eq!(parse(&["--help"]), None);
    }
}
