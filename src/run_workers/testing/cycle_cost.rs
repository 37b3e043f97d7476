//! Measures what a cycle (start a worker, ask it once, reap it) costs in `run_workers`, beside the
//! floor: the cheapest loop that starts the same UDF in the same namespaces and does nothing else.
//!
//! The floor runs in the same place as `run_workers` does: this program starts itself there.
//!
//! ```text
//! cycle_cost [--place direct|systrap|ptrace] [--udf PATH] [--seconds N]
//! ```
#![allow(unsafe_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "cycle_cost/floor.rs"]
mod floor;
mod host;
#[path = "cycle_cost/pool.rs"]
mod pool;

use host::Place;
use std::path::PathBuf;
use std::time::Duration;

/// A hundred bytes.
const REQUEST: &str = "echo 0123456789012345678901234567890123456789012345678901234567890123456789\
0123456789012345678901234";

struct Options {
    place: Place,
    udf: PathBuf,
    time: Duration,
}

fn main() {
    if std::env::args().nth(1).is_none() && floor::is_inside() {
        return floor::run_inside();
    }
    let options = parse();
    let udf = std::fs::read(&options.udf).expect("the UDF can be read");
    println!(
        "{:28} {:>10} {:>12}",
        format!("{:?}", options.place),
        "cycles/s",
        "of the floor"
    );
    let mut best = 0.0f64;
    for loops in [1, 2, 3] {
        let rate = floor::measure(options.place, &udf, loops, options.time);
        best = best.max(rate);
        println!("{:28} {rate:10.0}", format!("floor, {loops} loops"));
    }
    for filter in [
        pool::FilterLevel::None,
        pool::FilterLevel::Engine,
        pool::FilterLevel::Strict,
    ] {
        for spawners in [1, 2, 3, 4] {
            let rate = pool::measure(&options, &udf, filter, spawners);
            let label = format!("{filter:?}, {spawners} spawners");
            println!("{label:28} {rate:10.0} {:12.2}", rate / best);
        }
        let (latency, start) = pool::latency(&options, &udf, filter);
        println!("{filter:?}: a ready worker answers in {latency:?}; {start:?}");
    }
}

fn parse() -> Options {
    let mut options = Options {
        place: Place::Direct,
        udf: sibling("probe_udf"),
        time: Duration::from_secs(3),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().expect("a value behind each option");
        match (name.as_str(), value.as_str()) {
            ("--place", "direct") => options.place = Place::Direct,
            ("--place", "systrap") => options.place = Place::Gvisor("systrap"),
            ("--place", "ptrace") => options.place = Place::Gvisor("ptrace"),
            ("--udf", path) => options.udf = path.into(),
            ("--seconds", number) => {
                options.time = Duration::from_secs(number.parse().expect("a number"))
            }
            other => panic!("not understood: {other:?}"),
        }
    }
    options
}

/// Another program of this package.
fn sibling(name: &str) -> PathBuf {
    std::env::current_exe()
        .expect("a path")
        .with_file_name(name)
}
