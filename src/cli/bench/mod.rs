//! `roma bench`: how fast Roma is here, and whether that changed.

mod compare;
mod cpu;
mod floor;
mod neighbour;
mod neighbours;
mod record;
mod report;
mod service;
mod share;
mod statistics;
mod suite;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use roma_byob::{CodeToken, Service};

/// How long a request may wait for a worker.
const PATIENCE: Duration = Duration::from_secs(10);

/// What to measure.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BenchArgs {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    share: share::ShareArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measures loads and requests: languages, payloads, workers, modes and filters.
    Suite(Box<suite::SuiteArgs>),
    /// Shows which benchmarks of a suite became faster or slower, with a confidence.
    Compare(compare::CompareArgs),
    /// Shows what one hostile client does to its neighbours, for each of its tricks.
    Neighbours(Box<neighbours::NeighboursArgs>),
}

/// Measures, or compares, and prints.
pub async fn run(arguments: BenchArgs) -> anyhow::Result<ExitCode> {
    match arguments.command {
        None => share::run(arguments.share).await,
        Some(Command::Suite(arguments)) => suite::run(*arguments).await,
        Some(Command::Compare(arguments)) => compare::run(&arguments),
        Some(Command::Neighbours(arguments)) => neighbours::run(*arguments).await,
    }
}

/// Waits until `workers` workers are ready, or the code is deleted.
pub async fn until_ready(service: &Service, code: &CodeToken, workers: u32) {
    while service
        .status(code)
        .is_ok_and(|status| status.counts.ready < workers as usize)
    {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
