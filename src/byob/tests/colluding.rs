//! Requests that try to tell each other something, and to starve their neighbours: the tricks of
//! `sample_udf/colluding`, in every sandbox.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

#[path = "colluding/channels.rs"]
mod channels;
#[path = "colluding/open.rs"]
mod open;
#[path = "colluding/player.rs"]
mod player;
#[path = "colluding/storms.rs"]
mod storms;
#[path = "colluding/verdict.rs"]
mod verdict;

use std::collections::BTreeSet;

use common::in_every_sandbox;

/// Asserts that nothing was heard but what is listed as open.
fn assert_listed(heard: &BTreeSet<String>, open: &BTreeSet<&str>) {
    eprintln!("heard: {heard:?}");
    let surprises: Vec<_> = heard
        .iter()
        .filter(|name| !open.contains(&***name))
        .collect();
    assert!(surprises.is_empty(), "heard, and not listed: {surprises:?}");
}

in_every_sandbox! {
    async fn live_requests_hear_nothing_of_each_other_but_what_is_listed(bed: TestBed) {
        let heard = channels::heard_by_live_requests(&bed).await;
        assert_listed(&heard, &open::channels(&bed, false));
    }

    async fn a_later_request_hears_nothing_of_an_earlier_one_but_what_is_listed(bed: TestBed) {
        let heard = channels::heard_by_later_requests(&bed).await;
        assert_listed(&heard, &open::channels(&bed, true));
    }

    /// A trick that can never hear anything shows nothing by its silence.
    async fn processes_of_one_request_hear_each_other(bed: TestBed) {
        channels::assert_heard_within_a_request(&bed).await;
    }

    async fn storms_of_calls_starve_no_neighbour(bed: TestBed) {
        storms::rage(&bed, storms::CALLS).await;
    }

    async fn storms_of_processes_and_memory_starve_no_neighbour(bed: TestBed) {
        storms::rage(&bed, storms::PROCESSES_AND_MEMORY).await;
    }
}
