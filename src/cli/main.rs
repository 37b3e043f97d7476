//! `roma`: measures and shows what Roma does on this machine.

mod bench;
mod checks;
mod demo;
mod doctor;
mod programs;
mod soak;
mod summary;
mod target;
mod terminal;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Runs other people's binaries on private data, a fresh sandboxed process for each request.
#[derive(Debug, Parser)]
#[command(name = "roma", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measures Roma on this machine, beside the cheapest loop that could do the same.
    Bench(bench::BenchArgs),
    /// Starts a service, runs sample UDFs in it and tells what isolated them.
    Demo(demo::DemoArgs),
    /// Tells what this machine can do, tries it, and says how to mend what does not work.
    Doctor(doctor::DoctorArgs),
    /// Runs good, hostile and crashing UDFs for a long time; fails if anything grows or is left.
    Soak(soak::SoakArgs),
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().command {
        Command::Bench(arguments) => bench::run(arguments).await.map(done),
        Command::Demo(arguments) => demo::run(arguments).await.map(done),
        Command::Doctor(arguments) => doctor::run(arguments).await,
        Command::Soak(arguments) => soak::run(arguments).await.map(done),
    }
}

fn done((): ()) -> ExitCode {
    ExitCode::SUCCESS
}
