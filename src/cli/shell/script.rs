//! Commands from files and from standard input.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::command::{Command, parse};
use super::lines::{Lines, MOST_BYTES, too_long};
use super::session::Session;
use super::words::{Uncut, cut};

/// Whether to continue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Continue,
    Exit,
}

/// The command files that are being executed, each called by the previous one.
pub type Chain = Vec<PathBuf>;

/// Executes the commands in a file, up to the first error.
pub async fn run_file(
    session: &mut Session,
    path: &Path,
    chain: &mut Chain,
) -> anyhow::Result<Next> {
    let lines = Lines::of_file(path)?;
    let canonical = fs::canonicalize(path)?;
    if chain.contains(&canonical) {
        let names = chain.iter().chain([&canonical]);
        let names: Vec<_> = names.map(|path| path.display().to_string()).collect();
        bail!(
            "a file of commands cannot call itself: {}",
            names.join(" -> ")
        );
    }
    chain.push(canonical);
    let next = Box::pin(run_lines(
        session,
        &path.display().to_string(),
        lines,
        chain,
    ))
    .await;
    chain.pop();
    next
}

/// Executes the commands in lines, up to the first error, which names its file and line.
pub async fn run_lines(
    session: &mut Session,
    name: &str,
    lines: impl Iterator<Item = io::Result<String>>,
    chain: &mut Chain,
) -> anyhow::Result<Next> {
    let mut text = String::new();
    let mut first = 1;
    for (index, line) in lines.enumerate() {
        if text.is_empty() {
            first = index + 1;
        } else {
            text.push('\n');
        }
        let line = line.and_then(|line| bounded(&text, line));
        text.push_str(&line.with_context(|| format!("{name}:{}", index + 1))?);
        if is_whole(&text) {
            let next = run_line(session, &text, chain).await;
            if next.with_context(|| format!("{name}:{first}"))? == Next::Exit {
                return Ok(Next::Exit);
            }
            text.clear();
        }
    }
    let rest = run_line(session, &text, chain).await;
    rest.with_context(|| format!("{name}:{first}"))
}

/// Returns the line, unless it makes the command before it too long.
fn bounded(command: &str, line: String) -> io::Result<String> {
    match command.len() + line.len() > MOST_BYTES {
        true => Err(too_long()),
        false => Ok(line),
    }
}

/// Returns whether a command is complete, so that no further line belongs to it.
pub fn is_whole(text: &str) -> bool {
    !matches!(cut(text), Err(Uncut::Incomplete(_)))
}

/// Executes one command, then shows the results of background requests that are over.
pub async fn run_line(
    session: &mut Session,
    text: &str,
    chain: &mut Chain,
) -> anyhow::Result<Next> {
    let words = cut(text).map_err(|uncut| match uncut {
        Uncut::Incomplete(why) | Uncut::Wrong(why) => anyhow::anyhow!(why),
    })?;
    let next = match parse(&words, &session.rpcs())? {
        Command::Exit => Next::Exit,
        Command::Commands(path) => run_file(session, &path, chain).await?,
        command => {
            session.run(command).await?;
            Next::Continue
        }
    };
    session.report_jobs(false).await?;
    Ok(next)
}
