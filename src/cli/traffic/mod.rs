//! `roma traffic`: calls at a steady rate, and searches for the highest rate that a service sustains.

mod call;
mod clock;
mod generate;
mod report;
mod search;
mod statistics;

use std::convert::Infallible;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{bail, ensure};
use bytes::Bytes;
use clap::Args;
use prost_reflect::MethodDescriptor;
use roma_byob::{CodeToken, ExecuteOptions, LoadOptions, Service};
use serde_json::{Value, json};

use crate::error::Explain;
use crate::error::WrongUse;
use crate::options::loading::LoadArgs;
use crate::options::request::{Given, RequestArgs};
use crate::options::target::Target;
use crate::output::terminal;
use crate::samples::programs;
use call::Function;
use clock::Machine;
use generate::{Answer, Measured, Plan, Progress, generate};
use search::Lengths;

/// The time between two progress messages.
const NEWS: Duration = Duration::from_secs(1);

/// The lowest and highest rates, in bursts a second, and the most calls in each.
const LEAST_RATE: f64 = 0.001;
const MOST_RATE: u32 = 1_000_000;
const MOST_A_BURST: u32 = 100_000;

/// The options of traffic.
#[derive(Debug, Args)]
#[command(after_help = "\
A burst is due at each tick of a steady clock, whether or not the calls before it
are over, and times count from when a call was due. A burst is late if it begins
only when the next one is due.

Exit codes: 0 if all went well (no call failed, no burst was late; a search found
what it looked for), 1 if not, 2 for a wrong use.")]
pub struct TrafficArgs {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    load: LoadArgs,
    /// The UDF. By default the sample UDF: $ROMA_SAMPLE_UDF or sample_udf beside this program.
    #[arg(long, visible_alias = "udf", alias = "binary_path")]
    binary_path: Option<PathBuf>,
    /// The function of the sample UDF to call.
    #[arg(long, alias = "function_name", value_enum, default_value_t = Function::HelloWorld)]
    #[arg(ignore_case = true, conflicts_with = "request")]
    function_name: Function,
    /// What prime-sieve works on: a number, or a time such as 5ms.
    #[arg(long, alias = "input_args", conflicts_with = "request")]
    input_args: Option<String>,
    #[command(flatten)]
    request: RequestArgs,
    /// Ready workers.
    #[arg(long, alias = "num_workers", default_value_t = 84)]
    num_workers: u32,
    /// Bursts in each second.
    #[arg(long, alias = "queries_per_second", default_value_t = 42.0)]
    queries_per_second: f64,
    /// Calls in each burst.
    #[arg(long, alias = "burst_size", default_value_t = 14)]
    burst_size: u32,
    /// Number of bursts.
    #[arg(long, alias = "num_queries", default_value_t = 10_000)]
    num_queries: u64,
    /// Number of calls in total, instead of --num-queries.
    #[arg(long, alias = "total_invocations")]
    total_invocations: Option<u64>,
    /// Duration, instead of --num-queries: 30s, 5m.
    #[arg(long, value_parser = crate::options::duration::parse)]
    duration: Option<Duration>,
    /// How long a call may wait for a worker.
    #[arg(long, value_parser = crate::options::duration::parse, default_value = "10s")]
    #[arg(aliases = ["connection-timeout", "connection_timeout", "byob_connection_timeout"])]
    queue_timeout: Duration,
    /// How long a call may take once it has a worker.
    #[arg(long, value_parser = crate::options::duration::parse, default_value = "10s")]
    deadline: Duration,
    /// Search for the highest number of bursts per second that goes well.
    #[arg(long, alias = "find_max_qps", conflicts_with = "find_latency_budget")]
    find_max_qps: bool,
    /// Range of the search.
    #[arg(long, alias = "qps_search_bounds", default_value = "1:10000", value_parser = bounds)]
    qps_search_bounds: (u32, u32),
    /// Resolution of the search.
    #[arg(long, default_value_t = 50)]
    qps_resolution: u32,
    /// Percentage of bursts that may be late.
    #[arg(long, alias = "late_threshold", default_value_t = 15.0)]
    late_threshold: f64,
    /// Percentage of calls that may fail in a search.
    #[arg(long, default_value_t = 1.0)]
    failure_threshold: f64,
    /// Search for the longest call that goes well at this rate.
    #[arg(long, alias = "find_latency_budget", conflicts_with = "request")]
    find_latency_budget: bool,
    /// The shortest call of that search, in milliseconds.
    #[arg(long, alias = "initial_duration_ms", default_value_t = 5)]
    initial_duration_ms: u64,
    /// Step between two lengths.
    #[arg(long, alias = "duration_step_ms", default_value_t = 5)]
    duration_step_ms: u64,
    /// Change of the percentage of bad calls below which the search ends.
    #[arg(long, alias = "latency_slope_threshold", default_value_t = 1.0)]
    latency_slope_threshold: f64,
    /// Judge by late bursts instead of failed calls.
    #[arg(long, alias = "use_late_bursts_for_budget")]
    use_late_bursts_for_budget: bool,
    /// Name of this run in reports.
    #[arg(long, alias = "run_id")]
    run_id: Option<String>,
    /// A file to which the report is appended as a line of JSON.
    #[arg(long, alias = "output_file")]
    output_file: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn bounds(text: &str) -> Result<(u32, u32), String> {
    let parsed = text.split_once(':').and_then(|(low, high)| {
        let (low, high) = (low.parse().ok()?, high.parse().ok()?);
        (0 < low && low <= high && high <= MOST_RATE).then_some((low, high))
    });
    parsed.ok_or_else(|| {
        format!("`{text}` is not a range up to {MOST_RATE}; write LOW:HIGH, such as 1:10000")
    })
}

/// Sends traffic or searches, and prints the result.
pub async fn run(arguments: TrafficArgs) -> anyhow::Result<ExitCode> {
    let plan = plan(&arguments).map_err(WrongUse::of)?;
    arguments.load.check().map_err(WrongUse::of)?;
    let given = arguments.request.read().map_err(WrongUse::of)?;
    let request = request(&arguments, &given).map_err(WrongUse::of)?;
    let udf = programs::find(
        arguments.binary_path.clone(),
        "ROMA_SAMPLE_UDF",
        "sample_udf",
    )?;
    let options = LoadOptions {
        max_waiting: LoadOptions::MAX_WAITING,
        ..arguments.load.options(arguments.num_workers)?
    };
    let builder = arguments.load.host_functions(arguments.target.builder())?;
    let service = builder.start().await?;
    let code = service.load(&udf, options).await?;
    let caller = Caller {
        service,
        code,
        queue_timeout: arguments.queue_timeout,
        deadline: arguments.deadline,
        quiet: arguments.json,
    };
    let found = if arguments.find_max_qps {
        find_max_qps(&caller, &arguments, plan, request).await
    } else if arguments.find_latency_budget {
        find_latency_budget(&caller, &arguments, plan).await?
    } else {
        once(&caller, plan, request).await
    };
    caller.service.shutdown().await;
    tell(&arguments, &given, &caller, &found)?;
    Ok(ExitCode::from(u8::from(!found.good)))
}

/// The result of the command.
struct Found {
    good: bool,
    json: Value,
}

fn plan(arguments: &TrafficArgs) -> anyhow::Result<Plan> {
    let TrafficArgs {
        burst_size,
        queries_per_second,
        ..
    } = *arguments;
    ensure!(
        (1..=MOST_A_BURST).contains(&burst_size),
        "--burst-size must be 1 to {MOST_A_BURST}"
    );
    ensure!(
        (LEAST_RATE..=f64::from(MOST_RATE)).contains(&queries_per_second),
        "--queries-per-second must be {LEAST_RATE} to {MOST_RATE}"
    );
    let bursts = match arguments.total_invocations {
        Some(calls) => calls.div_ceil(burst_size.into()),
        None => arguments.num_queries,
    };
    Ok(Plan {
        interval: Duration::try_from_secs_f64(1.0 / queries_per_second)?,
        burst: burst_size,
        bursts: arguments.duration.is_none().then_some(bursts),
        time: arguments.duration,
    })
}

/// Returns the given request, or else that for the sample UDF.
fn request(arguments: &TrafficArgs, given: &Given) -> anyhow::Result<Bytes> {
    match (&given.request, &given.method) {
        (Some(request), _) => Ok(request.clone()),
        (None, Some(method)) => bail!("{} needs a --request", method.full_name()),
        (None, None) => arguments
            .function_name
            .request(arguments.input_args.as_deref()),
    }
}

/// The caller of a service.
struct Caller {
    service: Service,
    code: CodeToken,
    queue_timeout: Duration,
    deadline: Duration,
    quiet: bool,
}

impl Caller {
    /// Sends one plan's traffic, and prints its progress.
    async fn measure(&self, plan: &Plan, request: &Bytes) -> Measured {
        let progress = Arc::<Progress>::default();
        let call = || {
            let service = self.service.clone();
            let (code, request) = (self.code, request.clone());
            let options = ExecuteOptions {
                queue_timeout: self.queue_timeout,
                deadline: self.deadline,
                ..Default::default()
            };
            async move {
                let mut execution = service.execute(&code, request, options);
                match (&mut execution).await {
                    Ok(_) => {
                        let times = execution.times().unwrap_or_default();
                        Ok(Answer {
                            wait: times.queue,
                            run: times.send + times.run,
                        })
                    }
                    Err(error) => Err(error.explained()),
                }
            }
        };
        tokio::select! {
            measured = generate(&Machine, plan, &progress, call) => {
                terminal::end_progress();
                measured
            }
            never = self.news(&progress) => match never {},
        }
    }

    async fn news(&self, progress: &Progress) -> Infallible {
        if self.quiet {
            return std::future::pending().await;
        }
        let mut second = 0_u64;
        loop {
            tokio::time::sleep(NEWS).await;
            second += 1;
            let now = |number: &std::sync::atomic::AtomicU64| number.load(Ordering::Relaxed);
            let (begun, ended) = (now(&progress.begun), now(&progress.ended));
            terminal::progress(&format!(
                "{second} s: {ended} calls ended, {} under way, {} failed",
                begun.saturating_sub(ended),
                now(&progress.failed)
            ));
        }
    }

    fn say(&self, text: &str) {
        if !self.quiet {
            println!("{text}");
        }
    }
}

async fn once(caller: &Caller, plan: Plan, request: Bytes) -> Found {
    let measured = caller.measure(&plan, &request).await;
    caller.say(&report::text(&measured));
    Found {
        good: measured.late == 0 && measured.failures == 0,
        json: json!({ "statistics": report::statistics(&measured) }),
    }
}

async fn find_max_qps(
    caller: &Caller,
    arguments: &TrafficArgs,
    plan: Plan,
    request: Bytes,
) -> Found {
    let (low, high) = arguments.qps_search_bounds;
    let mut best = None;
    let highest = search::highest_rate(low..=high, arguments.qps_resolution, async |rate| {
        let plan = Plan {
            interval: Duration::from_secs(1) / rate,
            ..plan
        };
        let measured = caller.measure(&plan, &request).await;
        let good = measured.late_percent() <= arguments.late_threshold
            && measured.failure_percent() <= arguments.failure_threshold;
        caller.say(&report::step(&format!("{rate} a second"), &measured, good));
        if good {
            best = Some(measured);
        }
        good
    })
    .await;
    match highest {
        Some(rate) => caller.say(&format!(
            "\n{rate} bursts a second go well: {} calls.",
            u64::from(rate) * u64::from(plan.burst)
        )),
        None => caller.say(&format!("\nNot even {low} bursts a second go well.")),
    }
    Found {
        good: highest.is_some(),
        json: json!({
            "max_qps": highest,
            "statistics": best.as_ref().map(report::statistics),
        }),
    }
}

async fn find_latency_budget(
    caller: &Caller,
    arguments: &TrafficArgs,
    plan: Plan,
) -> anyhow::Result<Found> {
    let lengths = Lengths {
        first: Duration::from_millis(arguments.initial_duration_ms),
        step: Duration::from_millis(arguments.duration_step_ms.max(1)),
        slope: arguments.latency_slope_threshold,
    };
    let shares = search::shares(lengths, async |length| {
        let Ok(request) = call::primes_for(length) else {
            return 100.0;
        };
        let measured = caller.measure(&plan, &request).await;
        let percent = match arguments.use_late_bursts_for_budget {
            true => measured.late_percent(),
            false => measured.failure_percent(),
        };
        let good = percent <= arguments.failure_threshold;
        caller.say(&report::step(
            &crate::output::summary::short(length),
            &measured,
            good,
        ));
        percent
    })
    .await;
    let budget = search::budget(&shares, arguments.failure_threshold);
    match budget {
        Some(budget) => caller.say(&format!(
            "\nA call may take {} at this rate.",
            crate::output::summary::short(budget)
        )),
        None => caller.say("\nNot even the shortest call goes well at this rate."),
    }
    let steps: Vec<_> = shares
        .iter()
        .map(|(length, percent)| report::share(*length, *percent))
        .collect();
    Ok(Found {
        good: budget.is_some(),
        json: json!({ "latency_budget_ms": budget.map(|time| time.as_secs_f64() * 1e3), "steps": steps }),
    })
}

fn tell(
    arguments: &TrafficArgs,
    given: &Given,
    caller: &Caller,
    found: &Found,
) -> anyhow::Result<()> {
    let mut json = json!({
        "run_id": arguments.run_id.clone().unwrap_or_else(some_id),
        "params": {
            "mode": caller.service.mode().to_string(),
            "platform": caller.service.platform().map(|platform| platform.to_string()),
            "syscall_filtering": caller.service.syscall_filter().to_string(),
            "num_workers": arguments.num_workers,
            "queries_per_second": arguments.queries_per_second,
            "burst_size": arguments.burst_size,
            "num_queries": arguments.num_queries,
            "function_name": match given.request {
                Some(_) => None,
                None => Some(format!("{:?}", arguments.function_name)),
            },
            "rpc": given.method.as_ref().map(MethodDescriptor::full_name),
            "input_args": arguments.input_args,
            "find_max_qps": arguments.find_max_qps,
            "find_latency_budget": arguments.find_latency_budget,
        },
        "system_info": report::system(),
    });
    if let (Value::Object(all), Value::Object(more)) = (&mut json, found.json.clone()) {
        all.extend(more);
    }
    if arguments.json {
        println!("{json}");
    }
    match &arguments.output_file {
        Some(path) => report::append(path, &json),
        None => Ok(()),
    }
}

/// Returns a unique name for this run.
fn some_id() -> String {
    let random = std::fs::read_to_string("/proc/sys/kernel/random/uuid");
    random.map_or_else(
        |_| std::process::id().to_string(),
        |id| id.trim().to_owned(),
    )
}
