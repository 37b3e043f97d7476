//! What one hostile client does to its neighbours: a table with a line for each trick.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Args;
use roma_byob::{CodeToken, ExecuteOptions, LoadOptions, Service};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::{PATIENCE, until_ready};
use crate::options::target::Target;
use crate::output::summary::Summary;
use crate::samples::{programs, request};
use crate::soak;

/// How often the neighbour is asked.
const EVERY: Duration = Duration::from_millis(25);
/// The deadline of each hostile request.
const DEADLINE: Duration = Duration::from_millis(1500);
/// How long the sandbox may take to get rid of what deleted code has left.
const SETTLE: Duration = Duration::from_secs(1);

/// The tricks, as the hostile UDF names them.
const TRICKS: [&str; 12] = [
    "sleep_for_ever",
    "burn_processor_in_threads",
    "storm_of_processes",
    "storm_of_short_processes",
    "storm_of_threads",
    "storm_of_timer_descriptors",
    "storm_of_timers",
    "storm_of_interval_timers",
    "storm_of_signals",
    "hoard_memory",
    "hoard_memory_files",
    "hoard_memory_in_processes",
];

/// Which tricks, and for how long.
#[derive(Debug, Args)]
pub struct NeighboursArgs {
    #[command(flatten)]
    target: Target,
    /// The tricks of the hostile UDF. By default those that take most.
    #[arg(long = "trick")]
    tricks: Vec<String>,
    /// Seconds for each trick.
    #[arg(long, default_value_t = 6)]
    seconds: u64,
    /// The UDF that is asked meanwhile. By default $ROMA_ECHO_UDF or echo_udf beside this program.
    #[arg(long)]
    udf: Option<PathBuf>,
    /// The hostile UDF. By default $ROMA_HOSTILE_UDF or hostile_udf beside this program.
    #[arg(long)]
    hostile: Option<PathBuf>,
}

/// Measures and prints.
pub async fn run(arguments: NeighboursArgs) -> anyhow::Result<ExitCode> {
    let udf = programs::read_found(arguments.udf, "ROMA_ECHO_UDF", "echo_udf")?;
    let hostile = programs::read_found(arguments.hostile, "ROMA_HOSTILE_UDF", "hostile_udf")?;
    let service = arguments.target.builder().start().await?;
    let code = service.load(udf, LoadOptions::with_workers(2)).await?;
    until_ready(&service, &code, 2).await;
    println!(
        "One hostile client with default options, requests with a deadline of {DEADLINE:?}; a neighbour asked \
         every {EVERY:?}.\n"
    );
    println!(
        "{:28} {:>6} {:>6} {:>9} {:>9} {:>10} {:>11}",
        "trick", "asked", "failed", "p50", "max", "late", "processes"
    );
    let tricks = match arguments.tricks.is_empty() {
        true => TRICKS.map(str::to_owned).to_vec(),
        false => arguments.tricks,
    };
    for trick in tricks {
        let time = Duration::from_secs(arguments.seconds);
        let row = beside(&service, code, &hostile, &trick, time).await?;
        println!("{trick:28} {row}");
    }
    service.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

/// What the neighbour saw, and what was left.
struct Row {
    asked: usize,
    failures: Vec<String>,
    times: Summary,
    /// By how much a hostile process outlived its deadline, at most.
    late: Duration,
    /// Processes of the service before and after.
    processes: (usize, usize),
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (before, after) = self.processes;
        write!(
            f,
            "{:6} {:6} {:>9.1?} {:>9.1?} {:>10.1?} {before:5} {after:5}",
            self.asked,
            self.failures.len(),
            self.times.p50,
            self.times.max,
            self.late,
        )?;
        match self.failures.first() {
            Some(first) => write!(f, "\n    {first}"),
            None => Ok(()),
        }
    }
}

async fn beside(
    service: &Service,
    code: CodeToken,
    hostile: &Bytes,
    trick: &str,
    time: Duration,
) -> anyhow::Result<Row> {
    let before = descendants();
    let options = LoadOptions {
        name: "hostile".into(),
        ..LoadOptions::default()
    };
    let offender = service.load(hostile.clone(), options).await?;
    let until = Instant::now() + time;
    let offending = tokio::spawn(offend(service.clone(), offender, trick.to_owned(), until));
    let (times, failures) = ask(service, code, until).await;
    let late = offending.await?;
    service.delete(&offender).await?;
    sleep(SETTLE).await;
    Ok(Row {
        asked: times.len() + failures.len(),
        failures,
        times: Summary::of(times),
        late,
        processes: (before, descendants()),
    })
}

/// Sends one hostile request after the other. Returns by how much one outlived its deadline, at most.
async fn offend(service: Service, code: CodeToken, trick: String, until: Instant) -> Duration {
    let mut late = Duration::ZERO;
    while Instant::now() < until {
        let options = ExecuteOptions {
            queue_timeout: PATIENCE,
            deadline: DEADLINE,
            ..ExecuteOptions::default()
        };
        let since = Instant::now();
        let request = Bytes::from(format!("{trick} neighbour"));
        // That it fails is its purpose.
        let outcome = service.execute(&code, request, options).outcome().await;
        let allowed = outcome.report.times.queue + DEADLINE;
        late = late.max(since.elapsed().saturating_sub(allowed));
    }
    late
}

/// Asks the neighbour at a fixed pace, whatever it takes to answer.
async fn ask(service: &Service, code: CodeToken, until: Instant) -> (Vec<Duration>, Vec<String>) {
    let request = request::echo(100);
    let mut pace = interval(EVERY);
    pace.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut asked = tokio::task::JoinSet::new();
    while Instant::now() < until {
        pace.tick().await;
        let (service, request) = (service.clone(), request.clone());
        asked.spawn(async move {
            let since = Instant::now();
            let options = ExecuteOptions {
                queue_timeout: PATIENCE,
                ..ExecuteOptions::default()
            };
            let answer = service.execute(&code, request, options).await;
            answer.map(|_| since.elapsed()).map_err(|e| e.to_string())
        });
    }
    let (mut times, mut failures) = (Vec::new(), Vec::new());
    for answer in asked.join_all().await {
        match answer {
            Ok(time) => times.push(time),
            Err(error) => failures.push(error),
        }
    }
    (times, failures)
}

/// Returns the number of processes that this one has started, and they, and so on.
fn descendants() -> usize {
    soak::descendants(std::process::id()).len()
}
