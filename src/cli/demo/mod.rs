//! `roma demo`: runs sample programs in a service, attacks it, and prints what can be seen of that.

mod attacks;
mod isolation;
mod measuring;
mod requests;
mod scenes;
mod screen;
mod start;
mod stop;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, ensure};
use clap::Args;
use roma_byob::Service;

use crate::options::target::Target;
use crate::output::summary::brief;
use scenes::{Programs, ProgramsArgs};
use screen::Screen;
use stop::{Interrupted, Stop};

const INTRODUCTION: &str = "Roma runs other people's programs on private data: a fresh process for \
                            each request, inside two sandboxes. This demo starts a service and \
                            attacks it.";

/// What to show.
#[derive(Debug, Args)]
pub struct DemoArgs {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    programs: ProgramsArgs,
}

/// Runs it. If a signal or the reader of the output ends it, what it started ends first.
pub async fn run(arguments: DemoArgs) -> Result<ExitCode> {
    let Err(error) = demo(arguments).await else {
        return Ok(ExitCode::SUCCESS);
    };
    if let Some(interrupted) = error.downcast_ref::<Interrupted>() {
        return Ok(interrupted.exit_code());
    }
    match is_closed_pipe(&error) {
        true => Ok(ExitCode::SUCCESS),
        false => Err(error),
    }
}

async fn demo(arguments: DemoArgs) -> Result<()> {
    let mut stop = Stop::new()?;
    let programs = Programs::find(arguments.programs)?;
    let mut screen = Screen::stdout();
    screen.text(INTRODUCTION)?;
    let service = stop
        .or(start::start(&arguments.target, &mut screen))
        .await?;
    let played = stop
        .or(scenes::play(
            &service,
            &programs,
            arguments.target.has_libraries(),
            &mut screen,
        ))
        .await;
    let ended = end(&service, &mut screen).await;
    played?;
    ended?;
    isolation::next_steps(&mut screen)?;
    Ok(())
}

/// Ends the service, and checks that its processes are gone.
async fn end<W: Write>(service: &Service, screen: &mut Screen<W>) -> Result<()> {
    let processes = service.sandbox_processes();
    let since = Instant::now();
    service.shutdown().await;
    let took = since.elapsed();
    for process in &processes {
        let is_there = Path::new(&format!("/proc/{process}")).exists();
        ensure!(!is_there, "process {process} is still there");
    }
    screen.heading(&format!(
        "Everything ended, and nothing is left, after {}",
        brief(took)
    ))?;
    let verb = if processes.len() == 1 { "is" } else { "are" };
    let mut named = start::named(&processes);
    named.replace_range(..1, "P");
    screen.say(&format!("{named} {verb} gone."))?;
    Ok(())
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
