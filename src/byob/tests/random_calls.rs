//! Random system calls from many processes and threads at once: no sandbox is lost, a neighbour is served all
//! the time, and nothing of one request reaches another or is left behind.
//!
//! By default a few requests of each kind are sent. `ROMA_RANDOM_CALLS_SECONDS=...` goes on for so long in each
//! sandbox, `ROMA_RANDOM_CALLS_SEED=...` repeats the requests of a run.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "random_calls/canary.rs"]
mod canary;
mod common;
#[path = "random_calls/figures.rs"]
mod figures;
#[path = "random_calls/neighbour.rs"]
mod neighbour;
#[path = "random_calls/notes.rs"]
mod notes;
#[path = "random_calls/plan.rs"]
mod plan;
#[path = "random_calls/standing.rs"]
mod standing;
#[path = "random_calls/storm.rs"]
mod storm;

use common::traces::{run_without_traces, run_without_traces_for};
use common::{MINIMAL_STRICT, PATIENCE, TestBed};
use figures::Figures;
use neighbour::Neighbour;
use plan::Plan;
use standing::{Sides, Standing};
use storm::Storm;

/// Sends batch after batch. The neighbour is asked all the while; between them everything must be as it was.
async fn withstand(bed: &TestBed, plan: &Plan) -> Figures {
    // A busy machine may stop for a while. What hangs is noticed by its requests, too.
    let service = bed.builder().watchdog(PATIENCE).start().await.unwrap();
    let neighbour = Neighbour::load(&service).await;
    let storm = Storm::load(bed, &service).await;
    let sides = Sides {
        bed,
        service: &service,
        neighbour: &neighbour,
        storm: &storm,
    };
    let before = Standing::once_settled(&sides).await;
    let mut figures = Figures::default();
    for batch in plan.batches() {
        let raging = storm.rage(&batch, &mut figures);
        let asked = neighbour.asked_during(raging).await;
        figures.neighbour += asked;
        Standing::until_same(&sides, &before).await;
    }
    service.shutdown().await;
    figures
}

fn random_calls_lose_no_sandbox_and_leak_nothing(sandbox: usize) {
    notes::print();
    let plan = Plan::from_environment();
    // Names the requests when the test fails.
    println!("ROMA_RANDOM_CALLS_SEED={}", plan.seed);
    run_without_traces_for(plan.time(), sandbox, async |bed| {
        let figures = withstand(&bed, &plan).await;
        println!("{:?} {:?}: {figures}", bed.mode, bed.filter);
        figures.assert_enough();
    });
}

macro_rules! in_each_sandbox {
    ($($name:ident: $sandbox:literal,)*) => {
        mod random_calls_lose_no_sandbox_and_leak_nothing {$(
            #[test]
            fn $name() {
                super::random_calls_lose_no_sandbox_and_leak_nothing($sandbox);
            }
        )*}
    };
}

in_each_sandbox! {
    minimal_none: 0,
    minimal_engine: 1,
    minimal_strict: 2,
    gvisor_none: 3,
    gvisor_engine: 4,
    gvisor_strict: 5,
}

/// Else the search for marks would prove nothing.
#[test]
fn a_mark_of_another_request_in_the_memory_of_a_process_is_reported() {
    run_without_traces(MINIMAL_STRICT, async |bed| {
        let service = bed.service().await;
        let storm = Storm::load(&bed, &service).await;
        let answer = storm.plant_mark().await;
        assert!(answer.contains(" leaks=1 owner=2 "), "{answer}");
        service.shutdown().await;
    });
}
