//! `roma soak`: good, hostile and crashing UDFs for a long time, and whether anything grows.

mod growth;
mod load;
mod report;
mod sample;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::Args;
use roma_byob::Service;

use crate::options::number::{self, MANY};
use crate::options::target::Target;
use crate::output::file::OutputFile;
use crate::samples::hostile;
use crate::samples::programs;
use load::{Load, Udfs};
use report::{HEADING, Judgement, Row};
use sample::Held;

pub use sample::descendants;

/// The number of unexpected events that are printed in full.
const TOLD: usize = 10;

/// What to run, and for how long.
#[derive(Debug, Args)]
pub struct SoakArgs {
    #[command(flatten)]
    target: Target,
    /// Seconds to run.
    #[arg(long, default_value_t = 60.0)]
    minutes: f64,
    /// Seconds between two samples; by default a sixtieth of the whole time.
    #[arg(long)]
    every: Option<f64>,
    /// Number of clients that send good requests, and of clients that send hostile ones.
    #[arg(long, default_value_t = 2, value_parser = number::parse::<0, MANY>)]
    clients: usize,
    /// Highest allowed ratio of the 99th percentile at the end to that at the beginning.
    #[arg(long, default_value_t = 3.0)]
    p99_growth: f64,
    /// The good UDF, which answers an echo request. By default $ROMA_ECHO_UDF or beside this
    /// program.
    #[arg(long)]
    udf: Option<PathBuf>,
    /// The UDF that misbehaves on demand. By default $ROMA_MISBEHAVING_UDF or beside this program.
    #[arg(long)]
    hostile: Option<PathBuf>,
    /// Where to write everything as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Runs the soak. Fails if anything grew, went wrong or was left behind.
pub async fn run(arguments: SoakArgs) -> anyhow::Result<()> {
    let json = arguments.json.as_deref().map(OutputFile::at).transpose()?;
    let udfs = Udfs {
        good: programs::read_found(arguments.udf.clone(), "ROMA_ECHO_UDF", "echo_udf")?,
        hostile: hostile::read(arguments.hostile.clone())?,
    };
    let run_dir = std::env::temp_dir().join(format!("roma-soak-{}", std::process::id()));
    let service = arguments.target.builder().run_dir(&run_dir).start().await?;
    let sandboxes = service.sandbox_processes();
    let (rows, mut complaints) = soak(&service, &udfs, &run_dir, &arguments).await?;
    let mode = service.mode().to_string();
    service.shutdown().await;
    drop(service);
    complaints.extend(left(&run_dir, &sandboxes));
    let judgement = Judgement::of(&rows, arguments.p99_growth);
    judgement.print();
    complaints.extend(judgement.complaints());
    if let Some(output) = json {
        let json = report::json(&mode, &rows, &judgement, &complaints);
        output.write(&format!("{json:#}\n"))?;
    }
    ensure!(complaints.is_empty(), "{}", complaints.join("\n"));
    println!("\nNothing grew, and nothing is left.");
    Ok(())
}

/// Samples and prints until the time is over. Returns the samples and the unexpected events.
async fn soak(
    service: &Service,
    udfs: &Udfs,
    run_dir: &Path,
    arguments: &SoakArgs,
) -> anyhow::Result<(Vec<Row>, Vec<String>)> {
    let whole = Duration::try_from_secs_f64(arguments.minutes * 60.0)?;
    let every = Duration::try_from_secs_f64(arguments.every.unwrap_or(arguments.minutes))?;
    ensure!(
        !every.is_zero(),
        "there must be some time between two looks"
    );
    let load = Load::start(service, udfs, arguments.clients).await?;
    println!("{HEADING}");
    let (start, mut last) = (Instant::now(), Instant::now());
    let mut rows: Vec<Row> = Vec::new();
    let mut surprises = Vec::new();
    while start.elapsed() < whole {
        tokio::time::sleep(every).await;
        let mut tally = load.look();
        let held = Held::now(run_dir, &service.sandbox_processes());
        let row = Row::new(start.elapsed(), last.elapsed(), held, &tally);
        last = Instant::now();
        println!("{}", row.line());
        rows.push(row);
        surprises.append(&mut tally.surprises);
    }
    load.stop().await;
    if surprises.len() > TOLD {
        let more = format!("and {} more like these", surprises.len() - TOLD);
        surprises.truncate(TOLD);
        surprises.push(more);
    }
    Ok((rows, surprises))
}

/// Returns what the service left behind; empty if it cleaned up.
fn left(run_dir: &Path, sandboxes: &[u32]) -> Vec<String> {
    let counts = [
        ("processes", sample::descendants(std::process::id()).len()),
        ("files", sample::files(run_dir)),
        ("control groups", sample::groups(sandboxes)),
    ];
    let _ = std::fs::remove_dir(run_dir);
    let left = counts.into_iter().filter(|(_, count)| *count > 0);
    left.map(|(what, count)| format!("{count} {what} are left"))
        .collect()
}
