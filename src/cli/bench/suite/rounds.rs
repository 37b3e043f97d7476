//! Rounds: all planned benchmarks are measured once, then again, and so on.

use std::time::Duration;

use anyhow::Context;
use roma_byob::Service;

use super::super::record::{Record, Run};
use super::SuiteArgs;
use super::benchmarks::Benchmark;
use super::measure::{Measured, measure_once};
use super::place::Place;
use super::plan::Plan;
use crate::error::Explain;
use crate::output::terminal;

/// Measures the plan.
pub async fn measure(plan: &Plan, arguments: &SuiteArgs) -> anyhow::Result<Record> {
    let mut record = Record::here();
    let mut services = Vec::new();
    // All services start first, so that one that cannot start fails before anything is measured.
    for place in &plan.places {
        services.push((*place, start(arguments, *place).await?));
    }
    let platforms = services
        .iter()
        .filter_map(|(_, service)| service.platform());
    let platforms = platforms.map(|it| ("gvisor_platform".to_owned(), it.to_string().into()));
    record.context.extend(platforms);
    for repetition in 0..arguments.repetitions {
        for (place, service) in &services {
            for (name, benchmark) in plan.in_place(*place) {
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

async fn start(arguments: &SuiteArgs, place: Place) -> anyhow::Result<Service> {
    let means = arguments.means.for_mode(place.mode);
    let started = means.builder(place.mode, place.filter).start().await;
    started.with_context(|| place.to_string())
}

/// Measures one benchmark once. A failure is recorded, and the other benchmarks continue.
async fn once(service: &Service, benchmark: &Benchmark, place: Place, time: Duration) -> Run {
    let about = Run {
        label: benchmark.label(place),
        place: place.to_string(),
        ..Run::default()
    };
    match measure_once(service, benchmark, time).await {
        Ok(measured) => run_of(about, benchmark, &measured),
        Err(error) => Run {
            failure_rate: 1.0,
            failure: Some(error.explained()),
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
