//! `roma bench suite`: loads and requests over languages, payloads, workers, modes and filters.

mod benchmarks;
mod escape;
mod language;
mod measure;
mod page;
mod payload;
mod place;
mod plan;
mod plot;
mod question;
mod rounds;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use roma_byob::{Mode, SyscallFilter};

use crate::error::WrongUse;
use crate::options::request::RequestArgs;
use crate::options::target::{self, Means};
use crate::output::file::OutputFile;
use language::Language;
use payload::Payload;
use plan::Plan;

/// What to measure, where, how often, and where to write it.
#[derive(Debug, Args)]
#[command(after_help = "\
The names are those of the C++ system's suite, and --json writes the form of
Google Benchmark: `roma bench compare` tells what changed between two such files.

Everything is measured once, then everything again, and so on: what a machine's
fast and slow minutes do to a benchmark shows in how far its runs are apart.

Exit codes: 0, 1 if something failed that was measured, 2 for a wrong use.")]
pub struct SuiteArgs {
    /// Outer sandboxes: gvisor, gvisor-debug, minimal or external.
    #[arg(long, value_name = "MODE,...", value_delimiter = ',', value_parser = target::mode)]
    #[arg(default_values_t = [Mode::Gvisor, Mode::Minimal])]
    modes: Vec<Mode>,
    /// System call filters: none, engine or strict.
    #[arg(long, value_name = "FILTER,...", value_delimiter = ',', value_parser = target::filter)]
    #[arg(default_values_t = [SyscallFilter::Strict])]
    filters: Vec<SyscallFilter>,
    /// Numbers of ready workers, for benchmarks that vary it.
    #[arg(long, value_name = "NUMBER,...", value_delimiter = ',')]
    #[arg(default_values_t = [1, 10, 50, 100], value_parser = clap::value_parser!(u32).range(1..))]
    workers: Vec<u32>,
    /// Payloads, each way: 1000, 64KiB, or 10KiBx100 for a hundred elements.
    #[arg(long, value_name = "SIZE,...", value_delimiter = ',')]
    #[arg(default_value = "1KiB,64KiB,1MiB,10MiB,50MiB")]
    payloads: Vec<Payload>,
    /// Languages of the sample; by default those whose sample exists: $ROMA_SAMPLE_CC_UDF,
    /// $ROMA_SAMPLE_GO_UDF and $ROMA_SAMPLE_UDF, or sample_cc_udf and so on beside this program.
    #[arg(long, value_name = "LANGUAGE,...", value_delimiter = ',', value_enum)]
    languages: Vec<Language>,
    /// The folder of all other samples. By default that of the one in Rust.
    #[arg(long, value_name = "FOLDER")]
    samples: Option<PathBuf>,
    /// Only benchmarks with this in their names. May be repeated.
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// Measure loads of and requests to this UDF instead of the samples.
    #[arg(long, conflicts_with_all = ["payloads", "languages", "samples"])]
    udf: Option<PathBuf>,
    #[command(flatten)]
    request: RequestArgs,
    /// Number of measurements of each benchmark.
    #[arg(long, value_name = "NUMBER", default_value_t = 5)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=50))]
    repetitions: u64,
    /// Duration of each measurement, which has at least one iteration.
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = crate::options::duration::parse)]
    time: Duration,
    #[command(flatten)]
    means: Means,
    /// Print the names of what would be measured, and measure nothing.
    #[arg(long)]
    list: bool,
    /// Where to write all results as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where to write a report with plots, as a page for a browser.
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
}

/// Measures, prints and writes.
pub async fn run(arguments: SuiteArgs) -> anyhow::Result<ExitCode> {
    let plan = Plan::of(&arguments).map_err(WrongUse::of)?;
    if arguments.list {
        plan.names().for_each(|name| println!("{name}"));
        return Ok(ExitCode::SUCCESS);
    }
    plan.check().map_err(WrongUse::of)?;
    let json = arguments.json.as_deref().map(OutputFile::at).transpose()?;
    let report = arguments
        .report
        .as_deref()
        .map(OutputFile::at)
        .transpose()?;
    let record = rounds::measure(&plan, &arguments).await?;
    print!("{}", table::text(&record));
    if let Some(output) = json {
        output.write(&format!("{:#}\n", record.json()))?;
    }
    if let Some(output) = report {
        output.write(&page::html(&record))?;
    }
    let failed = record.runs.iter().any(|run| run.failure_rate > 0.0);
    Ok(ExitCode::from(u8::from(failed)))
}
