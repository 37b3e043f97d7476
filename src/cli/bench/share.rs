//! The service between two halves of the floor, in the same outer sandbox.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Args;
use roma_byob::LoadOptions;

use super::neighbour::{Neighbour, Tenancy};
use super::report::{Report, Row};
use super::service::{self, Asking, Run};
use super::{floor, until_ready};
use crate::error::WrongUse;
use crate::options::loading::LoadArgs;
use crate::options::number::{self, LARGE, MANY};
use crate::options::target::Target;
use crate::output::file::OutputFile;
use crate::samples::hostile;
use crate::samples::{programs, request};

/// The number of requests before times count.
const WARM_UP: usize = 50;
/// The largest number of requests whose times are kept.
const MOST_REQUESTS: usize = 10_000_000;

/// What to measure.
#[derive(Debug, Args)]
pub struct ShareArgs {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    load: LoadArgs,
    /// The UDF, which answers an echo request. By default $ROMA_ECHO_UDF or echo_udf beside this
    /// program.
    #[arg(long)]
    udf: Option<PathBuf>,
    /// Ready workers; without it and --concurrency, 1/1, 2/1 --hot and 8/8 are measured.
    #[arg(long)]
    workers: Option<u32>,
    /// Clients, each of which waits for its response before its next request.
    #[arg(long, value_parser = number::parse::<1, MANY>)]
    concurrency: Option<usize>,
    /// Wait until all workers are ready before each request (which does not count as its time).
    #[arg(long)]
    hot: bool,
    /// Measure each case again beside this many processes of hostile code.
    #[arg(long, default_value_t = 0)]
    neighbours: u32,
    /// Thousandths of a core that the hostile code may use, if control groups can limit that.
    #[arg(long, requires = "neighbours")]
    neighbours_cpu_millis: Option<u64>,
    /// The hostile code. By default $ROMA_MISBEHAVING_UDF or misbehaving_udf beside this program.
    #[arg(long, requires = "neighbours")]
    hostile: Option<PathBuf>,
    /// Requests in each measurement.
    #[arg(long, default_value_t = 2000, value_parser = number::parse::<1, MOST_REQUESTS>)]
    requests: usize,
    /// Bytes of payload in each request.
    #[arg(long, default_value_t = 100, value_parser = number::parse::<0, LARGE>)]
    payload: usize,
    /// Number of spawners. By default the library chooses it.
    #[arg(long)]
    spawners: Option<u32>,
    /// Milliseconds of each floor measurement, half of them after the service; 0 skips it.
    #[arg(long, default_value_t = 2000)]
    floor_millis: u32,
    /// The program roma_floor. By default $ROMA_FLOOR or beside this program.
    #[arg(long)]
    floor: Option<PathBuf>,
    /// Where to write everything as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Measures and prints.
pub async fn run(arguments: ShareArgs) -> anyhow::Result<ExitCode> {
    let json = arguments.json.as_deref().map(OutputFile::at).transpose()?;
    let udf = programs::read_found(arguments.udf.clone(), "ROMA_ECHO_UDF", "echo_udf")?;
    let request = request::echo(arguments.payload);
    let neighbour = neighbour(&arguments)?;
    arguments.load.check().map_err(WrongUse::of)?;
    let before = floors(&arguments, &udf, &request).await?;
    let mut report = measure(&arguments, &udf, &request, neighbour.as_ref()).await?;
    let after = floors(&arguments, &udf, &request).await?;
    let halves = before.into_iter().zip(after);
    report.floors = halves.map(|(before, after)| before.and(after)).collect();
    println!("{report}");
    if let Some(output) = json {
        output.write(&format!("{:#}\n", report.json()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Measures each case, with its own code.
async fn measure(
    arguments: &ShareArgs,
    udf: &Bytes,
    request: &Bytes,
    neighbour: Option<&(Bytes, Tenancy)>,
) -> anyhow::Result<Report> {
    let since = Instant::now();
    let builder = arguments.load.host_functions(arguments.target.builder())?;
    let service = builder.start().await?;
    let mut report = Report::new(&service, since.elapsed());
    for case in cases(arguments) {
        let options = LoadOptions {
            spawners: arguments.spawners,
            ..arguments.load.options(case.workers)?
        };
        let since = Instant::now();
        let code = service.load(udf.clone(), options).await?;
        report.loads.push(since.elapsed());
        // So that the start of workers is not measured.
        until_ready(&service, &code, case.workers).await;
        service::measure(&service, code, request, case.asking(WARM_UP)).await;
        let asking = case.asking(arguments.requests);
        let run = service::measure(&service, code, request, asking).await;
        report.rows.push(case.row(0, run));
        if let Some((hostile, tenancy)) = neighbour {
            let beside = Neighbour::move_in(&service, hostile.clone(), *tenancy).await?;
            let run = service::measure(&service, code, request, asking).await;
            report.rows.push(case.row(tenancy.processes, run));
            beside.move_out(&service).await?;
        }
        service.delete(&code).await?;
    }
    service.shutdown().await;
    Ok(report)
}

/// Returns the hostile code and its resources, if it is wanted.
fn neighbour(arguments: &ShareArgs) -> anyhow::Result<Option<(Bytes, Tenancy)>> {
    if arguments.neighbours == 0 {
        return Ok(None);
    }
    let udf = hostile::read(arguments.hostile.clone())?;
    let tenancy = Tenancy {
        processes: arguments.neighbours,
        cpu_millis: arguments.neighbours_cpu_millis,
    };
    Ok(Some((udf, tenancy)))
}

/// One measurement of the service.
#[derive(Clone, Copy)]
struct Case {
    workers: u32,
    concurrency: usize,
    hot: bool,
}

impl Case {
    fn asking(self, requests: usize) -> Asking {
        Asking {
            clients: self.concurrency,
            requests,
            ready: self.hot.then_some(self.workers),
        }
    }

    fn row(self, neighbours: u32, run: Run) -> Row {
        Row {
            workers: self.workers,
            concurrency: self.concurrency,
            hot: self.hot,
            neighbours,
            run,
        }
    }
}

fn cases(arguments: &ShareArgs) -> Vec<Case> {
    let case = |workers, concurrency, hot| Case {
        workers,
        concurrency,
        hot,
    };
    match (arguments.workers, arguments.concurrency) {
        (None, None) => vec![
            case(1, 1, arguments.hot),
            case(2, 1, true),
            case(8, 8, arguments.hot),
        ],
        (workers, concurrency) => vec![case(
            workers.unwrap_or(1),
            concurrency.unwrap_or(1),
            arguments.hot,
        )],
    }
}

/// Measures half of the floor with different numbers of loops, of which the best counts. The other half
/// is measured after the service, so that a machine's fast and slow minutes affect both.
async fn floors(
    arguments: &ShareArgs,
    udf: &Bytes,
    request: &Bytes,
) -> anyhow::Result<Vec<floor::Floor>> {
    if arguments.floor_millis == 0 {
        return Ok(Vec::new());
    }
    let program = programs::find(arguments.floor.clone(), "ROMA_FLOOR", "roma_floor")?;
    let mut floors = Vec::new();
    for case in [(1, false), (2, false), (8, false), (1, true)] {
        let time = Duration::from_millis(arguments.floor_millis.div_ceil(2).into());
        let builder = arguments.target.builder();
        floors.push(floor::measure(builder, &program, case, time, udf, request).await?);
    }
    Ok(floors)
}
