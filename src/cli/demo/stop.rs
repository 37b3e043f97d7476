//! Signals that end the demo early.

use std::fmt;
use std::io;
use std::process::ExitCode;

use anyhow::Result;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals of Ctrl-C and of those who end a service.
pub struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

/// A signal ended the demo.
#[derive(Debug)]
pub struct Interrupted(SignalKind);

impl Stop {
    /// Listens from here on.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Returns the result of `work`, or [`Interrupted`] if a signal comes first. `work` is dropped then.
    pub async fn or<T>(&mut self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let signal = tokio::select! {
            biased;
            _ = self.interrupt.recv() => SignalKind::interrupt(),
            _ = self.terminate.recv() => SignalKind::terminate(),
            result = work => return result,
        };
        Err(Interrupted(signal).into())
    }
}

impl Interrupted {
    /// Returns the exit code that shells use for a process that this signal ended.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(u8::try_from(128 + self.0.as_raw_value()).unwrap_or(u8::MAX))
    }
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "signal {} ended the demo", self.0.as_raw_value())
    }
}

impl std::error::Error for Interrupted {}
