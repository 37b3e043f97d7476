//! The parts of the demo between the start of the service and its end.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use prost::Message;
use roma_byob::{CodeToken, Fault, LoadOptions, Service};
use roma_sample_proto::roma::example::{EchoRequest, EchoResponse};

use super::attacks::{self, ENDLESS, Gain, REFUSED};
use super::isolation;
use super::requests::{Answers, Question};
use super::screen::Screen;
use crate::output::summary::{Summary, brief};
use crate::output::terminal::Colour;
use crate::samples::programs;

const WORKERS: u32 = 8;
const CLIENTS: usize = 8;
/// How many requests are sent one after the other.
const IN_SEQUENCE: usize = 20;
/// How long the clients send requests.
const SATURATED: Duration = Duration::from_secs(1);
const TEXT: &str = "hello from the demo";

/// Which programs to run.
#[derive(Debug, Args)]
pub struct ProgramsArgs {
    /// A UDF that answers an echo request. By default $ROMA_ECHO_UDF or echo_udf beside this program.
    udf: Option<PathBuf>,
    /// The hostile UDF. By default $ROMA_HOSTILE_UDF or hostile_udf beside this program.
    #[arg(long, value_name = "UDF")]
    hostile: Option<PathBuf>,
}

/// The programs that were found.
#[derive(Debug)]
pub struct Programs {
    echo: PathBuf,
    hostile: PathBuf,
}

impl Programs {
    /// Searches for them.
    pub fn find(named: ProgramsArgs) -> Result<Self> {
        Ok(Self {
            echo: programs::find(named.udf, "ROMA_ECHO_UDF", "echo_udf")?,
            hostile: programs::find(named.hostile, "ROMA_HOSTILE_UDF", "hostile_udf")?,
        })
    }
}

/// Plays all of them.
pub async fn play<W: Write>(
    service: &Service,
    programs: &Programs,
    has_libraries: bool,
    screen: &mut Screen<W>,
) -> Result<()> {
    let question = load(service, &programs.echo, screen).await?;
    in_sequence(&question, screen).await?;
    saturated(&question, screen).await?;
    hostile(&question, programs, screen).await?;
    screen.heading("What isolated each of these processes")?;
    for layer in isolation::layers(service, has_libraries) {
        screen.item(&layer)?;
    }
    Ok(())
}

async fn load<W: Write>(service: &Service, udf: &Path, screen: &mut Screen<W>) -> Result<Question> {
    screen.heading("2. A program is loaded")?;
    let since = Instant::now();
    let code = loaded(service, udf, WORKERS).await?;
    let first = since.elapsed();
    let question = Question {
        service: service.clone(),
        code,
        request: request(),
    };
    question.until_ready(WORKERS).await?;
    screen.say(&format!(
        "{}, {:.1} MiB: a process is ready after {}, all {WORKERS} after {}.",
        name(udf),
        std::fs::metadata(udf)?.len() as f64 / f64::from(1 << 20),
        brief(first),
        brief(since.elapsed())
    ))?;
    Ok(question)
}

async fn in_sequence<W: Write>(question: &Question, screen: &mut Screen<W>) -> Result<()> {
    screen.heading("3. One request after the other")?;
    let answers = question.ask_one_by_one(IN_SEQUENCE, WORKERS).await?;
    let processes = answers.processes()?;
    repeat_the_text(&answers)?;
    let median = brief(Summary::of(answers.times).p50);
    screen.say(&format!(
        "{IN_SEQUENCE} requests, each of which finds a process ready: median {median}."
    ))?;
    screen.say(&format!(
        "{IN_SEQUENCE} answers {TEXT:?} from {processes} processes, all of which ended."
    ))?;
    Ok(())
}

async fn saturated<W: Write>(question: &Question, screen: &mut Screen<W>) -> Result<()> {
    screen.heading("4. As many requests as possible for a second")?;
    let (answers, took) = question.ask_at_once(CLIENTS, SATURATED).await?;
    let processes = answers.processes()?;
    repeat_the_text(&answers)?;
    let count = answers.times.len();
    screen.say(&format!(
        "{CLIENTS} clients, {WORKERS} workers: {:.0} requests/s, none of which failed.",
        count as f64 / took.as_secs_f64()
    ))?;
    screen.say(&format!(
        "{count} answers from {processes} processes, all of which ended."
    ))?;
    Ok(())
}

async fn hostile<W: Write>(
    question: &Question,
    programs: &Programs,
    screen: &mut Screen<W>,
) -> Result<()> {
    screen.heading("5. A hostile program")?;
    let service = &question.service;
    let code = loaded(service, &programs.hostile, 2).await?;
    for attack in &REFUSED {
        let gain = attack.gain(service, code).await.context(attack.what)?;
        let (words, colour) = match &gain {
            Gain::Refused(words) => (format!("refused: {words}"), Colour::Green),
            Gain::Nothing => ("it finds nothing".to_owned(), Colour::Green),
            Gain::Everything(what) => (format!("IT WORKED {what}"), Colour::Red),
        };
        screen.row(attack.what, &words, colour)?;
        let held = !matches!(gain, Gain::Everything(_));
        ensure!(held, "the sandboxes do not hold: {}", attack.what);
    }
    endless(service, code, screen).await?;
    let same = attacks::answered(service, code).await?;
    let other = question.ask_one_by_one(1, 1).await?;
    screen.say(&format!(
        "The next requests succeed: to it after {}, to {} after {}.",
        brief(same),
        name(&programs.echo),
        brief(Summary::of(other.times).p50)
    ))?;
    Ok(())
}

async fn endless<W: Write>(
    service: &Service,
    code: CodeToken,
    screen: &mut Screen<W>,
) -> Result<()> {
    let failed = ENDLESS.failed(service, code).await?;
    let ended = format!("ended after {}", brief(failed.after));
    screen.row(ENDLESS.what, &ended, Colour::Green)?;
    screen.say(&format!("Error: {}.", failed.error))?;
    screen.say(&format!(
        "Fault: {}. It {}, with all that it started.",
        whose(failed.fault),
        failed.end
    ))?;
    ensure!(
        failed.fault == Fault::Udf,
        "the fault is not the program's: {}",
        failed.error
    );
    Ok(())
}

async fn loaded(service: &Service, udf: &Path, workers: u32) -> Result<CodeToken> {
    let code = service.load(udf, LoadOptions::with_workers(workers)).await;
    code.with_context(|| udf.display().to_string())
}

fn whose(fault: Fault) -> &'static str {
    match fault {
        Fault::Caller => "the caller's",
        Fault::Udf => "the program's",
        Fault::Sandbox => "the sandbox's",
        Fault::Host => "the host's",
    }
}

fn name(udf: &Path) -> String {
    let name = udf.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn request() -> bytes::Bytes {
    let message = TEXT.as_bytes().to_vec();
    EchoRequest { message }.encode_to_vec().into()
}

/// Checks that each answer is the text that was sent.
fn repeat_the_text(answers: &Answers) -> Result<()> {
    for response in &answers.responses {
        let message = EchoResponse::decode(response.clone())?.message;
        ensure!(
            message == TEXT.as_bytes(),
            "the answer is {:?} instead of {TEXT:?}",
            String::from_utf8_lossy(&message)
        );
    }
    Ok(())
}
