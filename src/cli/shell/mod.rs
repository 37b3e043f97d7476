//! `roma shell`: loads UDFs and asks them, by hand or by a script.

mod answer;
mod codes;
mod command;
mod help;
mod jobs;
mod script;
mod session;
mod terminal;
mod words;

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgAction, Args};
use script::{Chain, Next, run_file, run_lines};
use session::{Session, Settings};

use crate::descriptors::ApiArgs;
use crate::duration;
use crate::loading::LoadArgs;
use crate::target::Target;
use crate::wrong_use::WrongUse;

/// Where, what and how.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0, 1 if a command of a script fails, 2 for a wrong use.

With --commands-file, or where standard input is no terminal, the first command that
fails ends the shell, with its file and line. `help` in the shell lists the commands.")]
pub struct ShellArgs {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    load: LoadArgs,
    #[command(flatten)]
    api: ApiArgs,
    /// How many processes of a UDF wait ready for requests.
    #[arg(
        long,
        alias = "num_workers",
        value_name = "NUMBER",
        default_value_t = 1
    )]
    num_workers: u32,
    /// Do what the lines of this file say, then exit.
    #[arg(long, alias = "commands_file", value_name = "FILE")]
    commands_file: Option<PathBuf>,
    /// Append what UDFs print to this file.
    #[arg(long, alias = "udf_log_file", value_name = "FILE")]
    udf_log_file: Option<PathBuf>,
    /// How long a request may wait for a process that is ready.
    #[arg(
        long,
        alias = "connection_timeout",
        value_name = "TIME",
        default_value = "1m"
    )]
    #[arg(value_parser = duration::parse)]
    connection_timeout: Duration,
    /// How long a UDF may take to answer.
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = duration::parse)]
    deadline: Duration,
    /// Give executions no System V and POSIX IPC of their own: a filter keeps them apart then.
    #[arg(long, alias = "disable_ipc_namespace", value_name = "BOOL")]
    #[arg(action = ArgAction::Set, num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "true", default_value_t = false)]
    disable_ipc_namespace: bool,
}

/// Runs until there is nothing more to do.
pub async fn run(arguments: ShellArgs) -> anyhow::Result<ExitCode> {
    let api = arguments.api.service().map_err(WrongUse::of)?;
    arguments.load.options(1).map_err(WrongUse::of)?;
    let builder = arguments.target.builder();
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

/// What nobody waited for is waited for at the end of a script, but not where somebody wants to leave.
async fn run_commands(session: &mut Session, file: Option<PathBuf>) -> anyhow::Result<()> {
    let mut chain = Chain::new();
    let next = match file {
        Some(file) => run_file(session, &file, &mut chain).await?,
        None if session.is_interactive() => {
            println!("`help` lists the commands, Tab completes them, Ctrl-D ends.");
            return terminal::run(session).await;
        }
        None => {
            let lines = io::stdin().lines();
            run_lines(session, "standard input", lines, &mut chain).await?
        }
    };
    match next {
        Next::Continue => session.report_jobs(true).await,
        Next::Exit => Ok(()),
    }
}
