//! `roma demo`: starts a service, runs sample UDFs in it, and prints what isolated each answer.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;
use prost::Message;
use roma_byob::{ExecuteOptions, LoadOptions, Mode, Outcome, Report, Service, SyscallFilter};

use crate::error::Explain;
use crate::options::target::Target;
use crate::output::summary::{Summary, short};

/// The number of requests to each UDF from which latencies are computed.
const ROUNDS: usize = 200;
/// The length of the longest bar.
const WIDTH: f64 = 40.0;

/// What to show.
#[derive(Debug, Args)]
pub struct DemoArgs {
    #[command(flatten)]
    target: Target,
    /// Sample UDFs. One called echo_udf is asked to echo, the others for a greeting.
    #[arg(required = true)]
    udfs: Vec<PathBuf>,
}

#[derive(Clone, PartialEq, Message)]
struct Text {
    #[prost(string, tag = "1")]
    text: String,
}

/// The sample API: task 1 requests a greeting, and outcome 1 holds it.
#[derive(Clone, PartialEq, Message)]
struct Wrapped {
    #[prost(message, optional, tag = "1")]
    greeting: Option<Text>,
}

/// Runs it.
pub async fn run(arguments: DemoArgs) -> anyhow::Result<()> {
    let since = Instant::now();
    let service = match arguments.target.builder().start().await {
        Ok(service) => service,
        Err(error) => {
            explain(&error);
            return Err(error.into());
        }
    };
    println!(
        "A service is up after {}: {}\n",
        short(since.elapsed()),
        outer_layer(&service)
    );
    for udf in &arguments.udfs {
        show(&service, udf)
            .await
            .with_context(|| udf.display().to_string())?;
    }
    println!("What isolated every one of these processes:");
    for layer in layers(&service) {
        println!("  - {layer}");
    }
    let since = Instant::now();
    service.shutdown().await;
    println!(
        "\nEverything ended, and nothing is left, after {}.",
        short(since.elapsed())
    );
    Ok(())
}

async fn show(service: &Service, udf: &Path) -> anyhow::Result<()> {
    let echo = udf.file_name().is_some_and(|name| name == "echo_udf");
    let since = Instant::now();
    let code = service.load(udf, LoadOptions::with_workers(4)).await?;
    println!("{} (ready after {})", udf.display(), short(since.elapsed()));
    let request = if echo {
        text("hello from the demo").encode_to_vec()
    } else {
        hello()
    };
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        let since = Instant::now();
        let mut execution = service.execute(&code, request.clone(), ExecuteOptions::default());
        let response = (&mut execution).await?;
        times.push(since.elapsed());
        if round == 0 {
            println!("  answer    {:?}", answer(&response, echo)?);
            println!("  process   {}", process(&execution.report().await));
        }
    }
    print_latencies(&Summary::of(times));
    if let Outcome {
        result: Err(error), ..
    } = service
        .execute(&code, &b"\xff"[..], ExecuteOptions::default())
        .outcome()
        .await
    {
        println!(
            "  nonsense  {:?} is to blame: {}",
            error.fault(),
            error.explained()
        );
    }
    println!();
    Ok(service.delete(&code).await?)
}

fn text(text: &str) -> Text {
    Text {
        text: text.to_owned(),
    }
}

fn hello() -> Vec<u8> {
    Wrapped {
        greeting: Some(text("")),
    }
    .encode_to_vec()
}

fn answer(response: &[u8], echo: bool) -> anyhow::Result<String> {
    let text = match echo {
        true => Text::decode(response)?,
        false => Wrapped::decode(response)?.greeting.unwrap_or_default(),
    };
    ensure!(!text.text.is_empty(), "the answer is empty");
    Ok(text.text)
}

fn process(report: &Report) -> String {
    let name = report.worker.as_deref().unwrap_or("?");
    match &report.exit {
        Some(exit) => format!("{name}, which {exit}"),
        None => name.to_owned(),
    }
}

fn print_latencies(summary: &Summary) {
    let rows = [
        ("p50", summary.p50),
        ("p90", summary.p90),
        ("p99", summary.p99),
    ];
    for (name, time) in rows {
        let share = time.as_secs_f64() / summary.p99.max(Duration::from_nanos(1)).as_secs_f64();
        println!(
            "  {name}  {:>9} {}",
            short(time),
            "#".repeat((share * WIDTH) as usize)
        );
    }
}

fn outer_layer(service: &Service) -> String {
    match (service.mode(), service.platform()) {
        (Mode::Minimal, _) => "NO gVisor around it (mode minimal)".to_owned(),
        (Mode::External, _) => "inside someone else's outer sandbox".to_owned(),
        (mode, Some(platform)) => {
            format!("one gVisor sandbox around it (mode {mode}, platform {platform})")
        }
        (mode, None) => format!("mode {mode}"),
    }
}

fn layers(service: &Service) -> Vec<String> {
    let filter = match service.syscall_filter() {
        SyscallFilter::None => "no system call filter (--filter none)".to_owned(),
        filter => format!("a system call filter (level {filter}), installed once and inherited"),
    };
    vec![
        outer_layer(service),
        "a process that answered one request, never another, and is gone".to_owned(),
        "its own PID, mount, IPC, host name and user namespaces, and no network".to_owned(),
        "a read-only root that holds its binary and nothing else".to_owned(),
        "no capability, and no way to get one (no_new_privs)".to_owned(),
        "one connection (descriptor 3) and an empty environment".to_owned(),
        filter,
    ]
}

fn explain(error: &roma_byob::Error) {
    eprintln!(
        "\n*** The service did not start. ***\n{}\n",
        error.explained()
    );
    eprintln!("What may help:");
    eprintln!("  - roma doctor: whether Roma works on this machine, and how to fix what does not");
    eprintln!("  - a runsc that works here: name it with --runsc or ROMA_RUNSC");
    eprintln!("  - inside containers: the flags that docs/containers.md lists");
    eprintln!("  - another platform: --platform ptrace");
    eprintln!("  - for development only, without gVisor: --mode minimal, or DISABLE_GVISOR=true\n");
}
