//! Measures what a cycle (start a worker, send it one request, reap it) costs in `run_workers`, beside
//! the floor: the cheapest loop that starts the same UDF in the same namespaces and does nothing else.
//!
//! ```text
//! cycle_cost [--mode direct|systrap|ptrace] [--udf PATH] [--floor PATH] [--seconds N]
//! ```
//!
//! The floor is the program of `src/cli/floor`. Everything must be linked statically, as Bazel does: with
//! Cargo, build `roma-run-workers` and `roma-floor` with `RUSTFLAGS=-Ctarget-feature=+crt-static`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "cycle_cost/floor.rs"]
mod floor;
mod host;
#[path = "cycle_cost/pool.rs"]
mod pool;

use std::path::PathBuf;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use roma_sandbox::seccomp::FilterLevel;

use host::Mode;

/// A hundred bytes.
const REQUEST: &str = "echo 0123456789012345678901234567890123456789012345678901234567890123456789\
0123456789012345678901234";

struct Options {
    mode: Mode,
    udf: PathBuf,
    floor: PathBuf,
    time: Duration,
}

fn main() {
    let options = parse();
    let udf = std::fs::read(&options.udf).expect("the UDF can be read");
    let heading = format!("{:?}", options.mode);
    println!(
        "{heading:28} {:>9} {:>10} {:>12} {:>8}",
        "cycles/s", "of floor", "CPU us/cycle", "of floor"
    );
    let mut floor = Cost::default();
    for loops in [1, 2, 3] {
        let cost = with_cpu(&options, || floor::measure(&options, &udf, loops));
        floor = floor.better(&cost);
        cost.print(&format!("floor, {loops} loops"), &floor);
    }
    for filter in [FilterLevel::None, FilterLevel::Engine, FilterLevel::Strict] {
        for spawners in [1, 2, 4] {
            let cost = with_cpu(&options, || pool::measure(&options, &udf, filter, spawners));
            cost.print(&format!("{filter:?}, {spawners} spawners"), &floor);
        }
        let (latency, start) = pool::latency(&options, &udf, filter);
        println!("{filter:?}: a ready worker answers in {latency:?}; {start:?}");
    }
}

/// The result of a measurement. CPU time says more than cycles per second if the machine is shared.
#[derive(Clone, Copy, Default)]
struct Cost {
    rate: f64,
    cpu_micros: f64,
}

impl Cost {
    fn better(&self, other: &Self) -> Self {
        let cpu_micros = match self.cpu_micros {
            0.0 => other.cpu_micros,
            cpu => cpu.min(other.cpu_micros),
        };
        Self {
            rate: self.rate.max(other.rate),
            cpu_micros,
        }
    }

    fn print(&self, label: &str, floor: &Self) {
        let Self { rate, cpu_micros } = self;
        let (rates, costs) = (rate / floor.rate, cpu_micros / floor.cpu_micros);
        println!("{label:28} {rate:9.0} {rates:10.2} {cpu_micros:12.0} {costs:8.2}");
    }
}

/// Adds the CPU time of every process that was started and has ended, including the start of gVisor, and
/// of this process, which plays the host.
fn with_cpu(options: &Options, measure: impl FnOnce() -> f64) -> Cost {
    let before = cpu();
    let rate = measure();
    let cycles = rate * options.time.as_secs_f64();
    Cost {
        rate,
        cpu_micros: (cpu() - before) / cycles,
    }
}

fn cpu() -> f64 {
    let micros = |time: TimeVal| time.tv_sec() as f64 * 1e6 + time.tv_usec() as f64;
    [UsageWho::RUSAGE_CHILDREN, UsageWho::RUSAGE_SELF]
        .into_iter()
        .map(|who| getrusage(who).expect("usage"))
        .map(|usage| micros(usage.user_time()) + micros(usage.system_time()))
        .sum()
}

fn parse() -> Options {
    let mut options = Options {
        mode: Mode::Direct,
        udf: sibling("probe_udf"),
        floor: sibling("roma_floor"),
        time: Duration::from_secs(3),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().expect("a value after each option");
        match (name.as_str(), value.as_str()) {
            ("--mode", "direct") => options.mode = Mode::Direct,
            ("--mode", "systrap") => options.mode = Mode::Gvisor("systrap"),
            ("--mode", "ptrace") => options.mode = Mode::Gvisor("ptrace"),
            ("--udf", path) => options.udf = path.into(),
            ("--floor", path) => options.floor = path.into(),
            ("--seconds", number) => {
                options.time = Duration::from_secs(number.parse().expect("a number"))
            }
            other => panic!("unknown option: {other:?}"),
        }
    }
    options
}

/// Returns the path of another program that is built into the same folder.
fn sibling(name: &str) -> PathBuf {
    std::env::current_exe()
        .expect("a path")
        .with_file_name(name)
}
