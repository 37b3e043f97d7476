//! `run_workers`: prepares pools and starts one process for each request.
//!
//! Three roles, each a process, each with one file:
//!
//! - the `holder` (process 1 of its PID namespace) holds the control connection and makes pools;
//! - a `pool`'s first process (process 1 of the pool's PID namespace) makes the pool's root, and then
//!   becomes its first spawner;
//! - a `spawner` starts workers, kills them and tells how they ended. It is not on the path of a
//!   request: host and worker talk directly.
//!
//! All of them are single-threaded and wait in one place.

mod code;
mod holder;
mod identity;
mod isolate;
mod live;
mod pool;
mod replies;
mod root;
mod spawner;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Instant;

/// What the command line says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Enter namespaces of its own first: there is no outer sandbox.
    pub isolate: bool,
}

impl Options {
    /// `None` where the command line is not understood.
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
    let control = roma_sandbox::descriptors::take_standard_input();
    let place = match isolate::enter(options, control) {
        isolate::Entered::Inside(place) => place,
        isolate::Entered::Ended(code) => return code,
    };
    match holder::serve(place, started) {
        holder::Served::Ended(code) => code,
        holder::Served::InPool(plan) => pool::run(*plan),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Option<Options> {
        Options::parse(arguments.iter().map(OsString::from))
    }

    #[test]
    fn understands_its_command_line_and_nothing_else() {
        assert_eq!(parse(&[]), Some(Options { isolate: false }));
        assert_eq!(parse(&["--isolate"]), Some(Options { isolate: true }));
        assert_eq!(parse(&["--help"]), None);
    }
}
