//! `roma bench suite`: loading and asking, over languages, payloads, workers, modes and filters.

mod measure;
mod page;
mod payload;
mod plan;
mod plot;
mod question;
mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use roma_byob::{Mode, Service, SyscallFilter};

use super::record::{Record, Run};
use crate::output::Output;
use crate::request::RequestArgs;
use crate::target::{self, Means};
use crate::terminal;
use crate::wrong_use::WrongUse;
use measure::{Measured, measure};
use payload::Payload;
use plan::{Benchmark, Choice, Language, Place};

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
    /// Ready workers, where it matters how many.
    #[arg(long, value_name = "NUMBER,...", value_delimiter = ',')]
    #[arg(default_values_t = [1, 10, 50, 100], value_parser = clap::value_parser!(u32).range(1..))]
    workers: Vec<u32>,
    /// Payloads, each way: 1000, 64KiB, or 10KiBx100 for a hundred elements.
    #[arg(long, value_name = "SIZE,...", value_delimiter = ',')]
    #[arg(default_value = "1KiB,64KiB,1MiB,10MiB,50MiB")]
    payloads: Vec<Payload>,
    /// Languages of the sample; by default those whose sample is there: $ROMA_SAMPLE_CC_UDF,
    /// $ROMA_SAMPLE_GO_UDF and $ROMA_SAMPLE_UDF, or sample_cc_udf and so on beside this program.
    #[arg(long, value_name = "LANGUAGE,...", value_delimiter = ',', value_enum)]
    languages: Vec<Language>,
    /// Where all other samples are. By default beside the one in Rust.
    #[arg(long, value_name = "FOLDER")]
    samples: Option<PathBuf>,
    /// Only benchmarks with this in their names. May be given several times.
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// Measure loading and asking this UDF instead of the samples.
    #[arg(long, conflicts_with_all = ["payloads", "languages", "samples"])]
    udf: Option<PathBuf>,
    #[command(flatten)]
    request: RequestArgs,
    /// How often to measure all of it.
    #[arg(long, value_name = "NUMBER", default_value_t = 5)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=50))]
    repetitions: u64,
    /// For how long each benchmark is measured each time; at least one iteration is.
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = crate::duration::parse)]
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
    let json = arguments.json.as_deref().map(Output::at).transpose()?;
    let report = arguments.report.as_deref().map(Output::at).transpose()?;
    let record = plan.measure(&arguments).await?;
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

/// What to measure in which places.
struct Plan {
    places: Vec<Place>,
    benchmarks: Vec<Benchmark>,
    only: Vec<String>,
}

impl Plan {
    fn of(arguments: &SuiteArgs) -> anyhow::Result<Self> {
        let filters = &arguments.filters;
        let in_mode = |&mode| filters.iter().map(move |&filter| Place { mode, filter });
        let given = arguments.request.read()?;
        let benchmarks = match &arguments.udf {
            Some(udf) => {
                ensure!(udf.is_file(), "{} is not there", udf.display());
                let request = given.request.unwrap_or_default();
                plan::own(&std::path::absolute(udf)?, &request, &arguments.workers)
            }
            None => {
                let any = given.request.is_some() || given.method.is_some();
                ensure!(!any, "a request needs the --udf that it is for");
                samples(arguments)?
            }
        };
        Ok(Self {
            places: arguments.modes.iter().flat_map(in_mode).collect(),
            benchmarks,
            only: arguments.only.clone(),
        })
    }

    /// What of it is wanted in a place.
    fn in_place(&self, place: Place) -> impl Iterator<Item = (String, &Benchmark)> {
        let named = self.benchmarks.iter().map(move |it| (it.name(place), it));
        let only = &self.only;
        named
            .filter(move |(name, _)| only.is_empty() || only.iter().any(|text| name.contains(text)))
    }

    fn names(&self) -> impl Iterator<Item = String> {
        let places = self.places.iter();
        places.flat_map(|place| self.in_place(*place).map(|(name, _)| name))
    }

    /// Everything that it takes has to be there.
    fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.names().next().is_some(),
            "there is nothing of that name to measure"
        );
        let wanted = self.places.iter().flat_map(|place| self.in_place(*place));
        for (name, benchmark) in wanted {
            let program = &benchmark.program;
            ensure!(
                program.is_file(),
                "{name} needs {}, which is not there",
                program.display()
            );
        }
        Ok(())
    }

    async fn measure(&self, arguments: &SuiteArgs) -> anyhow::Result<Record> {
        let mut record = Record::here();
        let mut services = Vec::new();
        // All of them first: what does not start at all is known before anything is measured.
        for place in &self.places {
            services.push((*place, start(arguments, *place).await?));
        }
        let platforms = services
            .iter()
            .filter_map(|(_, service)| service.platform());
        let platforms = platforms.map(|it| ("gvisor_platform".to_owned(), it.to_string().into()));
        record.context.extend(platforms);
        for repetition in 0..arguments.repetitions {
            for (place, service) in &services {
                for (name, benchmark) in self.in_place(*place) {
                    let round = format!("{} of {}", repetition + 1, arguments.repetitions);
                    terminal::progress(&format!("{round}: {name}"));
                    let run = once(service, benchmark, *place, arguments.time).await;
                    record.runs.push(Run {
                        name,
                        repetition,
                        ..run
                    });
                }
            }
        }
        terminal::end_progress();
        for (_, service) in services {
            service.shutdown().await;
        }
        Ok(record)
    }
}

async fn start(arguments: &SuiteArgs, place: Place) -> anyhow::Result<Service> {
    let means = arguments.means.for_mode(place.mode);
    let started = means.builder(place.mode, place.filter).start().await;
    started.with_context(|| place.to_string())
}

/// Measures one benchmark once. What fails says why, and the others go on.
async fn once(service: &Service, benchmark: &Benchmark, place: Place, time: Duration) -> Run {
    let about = Run {
        label: benchmark.label(place),
        place: place.to_string(),
        ..Run::default()
    };
    match measure(service, benchmark, time).await {
        Ok(measured) => run_of(about, benchmark, &measured),
        Err(error) => Run {
            failure_rate: 1.0,
            failure: Some(format!("{error:#}")),
            ..about
        },
    }
}

fn run_of(about: Run, benchmark: &Benchmark, measured: &Measured) -> Run {
    let summary = measured.summary();
    let mean = measured.mean();
    Run {
        iterations: measured.times.len() as u64,
        time: mean,
        cpu: measured.cpu_for_each(),
        p50: summary.p50.as_nanos() as f64,
        p99: summary.p99.as_nanos() as f64,
        bytes_per_second: benchmark.payload().map(|bytes| bytes as f64 / mean * 1e9),
        failure_rate: measured.failure_rate(),
        failure: measured.first_failure.clone(),
        ..about
    }
}

fn samples(arguments: &SuiteArgs) -> anyhow::Result<Vec<Benchmark>> {
    let samples = match &arguments.languages[..] {
        [] => {
            let there = those_there();
            told(&there);
            there
        }
        wanted => {
            let found = wanted.iter().map(|it| Ok((*it, it.sample()?)));
            found.collect::<anyhow::Result<_>>()?
        }
    };
    let folder = match &arguments.samples {
        Some(folder) => std::path::absolute(folder)?,
        None => Language::Rust
            .sample()?
            .parent()
            .unwrap_or(Path::new("/"))
            .to_owned(),
    };
    Ok(plan::suite(&Choice {
        samples: &samples,
        folder: &folder,
        workers: &arguments.workers,
        payloads: &arguments.payloads,
    }))
}

/// Says what is left out, and why.
fn told(there: &[(Language, PathBuf)]) {
    let missing = |it: &&Language| !there.iter().any(|(language, _)| language == *it);
    let missing: Vec<_> = Language::ALL
        .iter()
        .filter(missing)
        .map(|it| it.name())
        .collect();
    if !missing.is_empty() {
        eprintln!(
            "No sample is there in {}: see --languages.",
            missing.join(" or ")
        );
    }
}

fn those_there() -> Vec<(Language, PathBuf)> {
    let found = Language::ALL
        .iter()
        .filter_map(|it| Some((*it, it.sample().ok()?)));
    found.collect()
}
