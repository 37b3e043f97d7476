//! `roma`: what UDF developers and integrators run by hand.

mod bench;
mod checks;
mod completions;
mod demo;
mod descriptors;
mod doctor;
mod duration;
mod hostile;
mod loading;
mod output;
mod programs;
mod request;
mod sample_request;
mod shell;
mod soak;
mod summary;
mod target;
mod terminal;
mod traffic;
mod verify;
mod wrong_use;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use wrong_use::WrongUse;

/// Runs other people's binaries on private data, a fresh sandboxed process for each request.
#[derive(Debug, Parser)]
#[command(name = "roma", version, max_term_width = 80)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measures Roma on this machine, beside the cheapest loop that could do the same.
    Bench(Box<bench::BenchArgs>),
    /// Prints what a command line shell needs to complete this tool's options.
    Completions(completions::CompletionsArgs),
    /// Starts a service, runs sample UDFs in it and tells what isolated them.
    Demo(demo::DemoArgs),
    /// Tells what this machine can do, tries it, and says how to mend what does not work.
    Doctor(doctor::DoctorArgs),
    /// Loads UDFs and asks them, by hand or by a script.
    Shell(shell::ShellArgs),
    /// Runs good, hostile and crashing UDFs for a long time; fails if anything grows or is left.
    Soak(soak::SoakArgs),
    /// Sends calls at a steady rate, or searches for how much a service takes.
    Traffic(traffic::TrafficArgs),
    /// Checks whether a binary can be a UDF, and advises its developer.
    Verify(verify::VerifyArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    run(Arguments::parse().command)
        .await
        .unwrap_or_else(|error| {
            eprintln!("error: {error:#}");
            if let Some(advice) = advice(&error) {
                eprintln!("To fix it: {advice}");
            }
            match error.is::<WrongUse>() {
                true => ExitCode::from(2),
                false => ExitCode::FAILURE,
            }
        })
}

/// Returns what would fix an error, if that is known.
fn advice(error: &anyhow::Error) -> Option<&'static str> {
    let mut causes = error.chain();
    causes.find_map(|cause| cause.downcast_ref::<roma_byob::Error>()?.advice())
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Bench(arguments) => bench::run(*arguments).await,
        Command::Completions(arguments) => {
            completions::run::<Arguments>(&arguments, &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
        Command::Demo(arguments) => demo::run(arguments).await.map(done),
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
