//! `roma`: what UDF developers and integrators run by hand.

mod bench;
mod completions;
mod demo;
mod doctor;
mod error;
mod options;
mod output;
mod samples;
mod shell;
mod soak;
mod traffic;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use error::{Explain, WrongUse};

/// Runs other people's binaries on private data, a fresh sandboxed process for each request.
#[derive(Debug, Parser)]
#[command(name = "roma", bin_name = "roma", version, max_term_width = 80)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measures Roma on this machine, compared with the cheapest loop that could do the same.
    Bench(Box<bench::BenchArgs>),
    /// Prints a script with which a command line shell completes this tool's options.
    Completions(completions::CompletionsArgs),
    /// Starts a service, runs good and hostile samples in it, and prints what isolated them.
    Demo(demo::DemoArgs),
    /// Checks whether Roma works on this machine, and says how to fix what does not.
    Doctor(doctor::DoctorArgs),
    /// Loads UDFs and sends them requests, by hand or from a script.
    Shell(shell::ShellArgs),
    /// Runs good, hostile and crashing UDFs for a long time; fails if anything grows or is left behind.
    Soak(soak::SoakArgs),
    /// Sends calls at a steady rate, or searches for the highest rate that a service sustains.
    Traffic(traffic::TrafficArgs),
    /// Checks whether a binary can be a UDF, and advises its developer.
    Verify(verify::VerifyArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    run(Arguments::parse().command)
        .await
        .unwrap_or_else(|error| {
            eprintln!("error: {}", error.explained());
            match error.is::<WrongUse>() {
                true => ExitCode::from(2),
                false => ExitCode::FAILURE,
            }
        })
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Bench(arguments) => bench::run(*arguments).await,
        Command::Completions(arguments) => {
            completions::run::<Arguments>(&arguments, &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
        Command::Demo(arguments) => demo::run(arguments).await,
        Command::Doctor(arguments) => doctor::run(arguments).await,
        Command::Shell(arguments) => shell::run(arguments).await,
        Command::Soak(arguments) => soak::run(arguments).await.map(done),
        Command::Traffic(arguments) => traffic::run(arguments).await,
        Command::Verify(arguments) => verify::run(arguments).await,
    }
}

fn done((): ()) -> ExitCode {
    ExitCode::SUCCESS
}
