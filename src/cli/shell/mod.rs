//! `roma shell`: loads UDFs and sends them requests, by hand or from a script.

mod answer;
mod codes;
mod command;
mod help;
mod jobs;
mod lines;
mod script;
mod session;
mod terminal;
mod words;

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgAction, Args};

use crate::error::WrongUse;
use crate::options::descriptors::ApiArgs;
use crate::options::duration;
use crate::options::loading::LoadArgs;
use crate::options::target::Target;
use lines::Lines;
use script::{Chain, Next, run_file, run_lines};
use session::{Session, Settings};

/// The options of the shell.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0, 1 if a command of a script fails, 2 for a wrong use.

With --commands-file, or where standard input is not a terminal, the first command that
fails ends the shell, with its file and line. `help` in the shell lists the commands.")]
pub struct ShellArgs {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    load: LoadArgs,
    #[command(flatten)]
    api: ApiArgs,
    /// Number of ready workers for each UDF.
    #[arg(
        long,
        alias = "num_workers",
        value_name = "NUMBER",
        default_value_t = 1
    )]
    num_workers: u32,
    /// Execute the commands in this file, then exit.
    #[arg(long, alias = "commands_file", value_name = "FILE")]
    commands_file: Option<PathBuf>,
    /// Append the output of UDFs to this file.
    #[arg(long, alias = "udf_log_file", value_name = "FILE")]
    udf_log_file: Option<PathBuf>,
    /// How long a request may wait for a ready worker.
    #[arg(
        long,
        alias = "connection_timeout",
        value_name = "TIME",
        default_value = "1m"
    )]
    #[arg(value_parser = duration::parse)]
    connection_timeout: Duration,
    /// How long a UDF may take to respond.
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = duration::parse)]
    deadline: Duration,
    /// Give executions no System V and POSIX IPC namespace of their own; a filter then separates them.
    #[arg(long, alias = "disable_ipc_namespace", value_name = "BOOL")]
    #[arg(action = ArgAction::Set, num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "true", default_value_t = false)]
    disable_ipc_namespace: bool,
}

/// Runs until there are no more commands.
pub async fn run(arguments: ShellArgs) -> anyhow::Result<ExitCode> {
    let api = arguments.api.service().map_err(WrongUse::of)?;
    arguments.load.check().map_err(WrongUse::of)?;
    let builder = arguments.load.host_functions(arguments.target.builder())?;
    let service = builder
        .private_ipc(!arguments.disable_ipc_namespace)
        .start()
        .await?;
    let interactive = arguments.commands_file.is_none() && io::stdin().is_terminal();
    let settings = Settings {
        workers: arguments.num_workers,
        load: arguments.load,
        queue_timeout: arguments.connection_timeout,
        deadline: arguments.deadline,
        log_file: arguments.udf_log_file,
        interactive,
    };
    let mut session = Session::new(service, api, settings)?;
    let result = run_commands(&mut session, arguments.commands_file).await;
    session.end().await;
    result.map(|()| ExitCode::SUCCESS)
}

/// At the end of a script, background requests are waited for; an interactive session ends at once.
async fn run_commands(session: &mut Session, file: Option<PathBuf>) -> anyhow::Result<()> {
    let mut chain = Chain::new();
    let next = match file {
        Some(file) => run_file(session, &file, &mut chain).await?,
        None if session.is_interactive() => {
            println!("`help` lists the commands, Tab completes them, Ctrl-D ends.");
            return terminal::run(session).await;
        }
        None => {
            let lines = Lines::of(io::stdin().lock());
            run_lines(session, "standard input", lines, &mut chain).await?
        }
    };
    match next {
        Next::Continue => session.report_jobs(true).await,
        Next::Exit => Ok(()),
    }
}
