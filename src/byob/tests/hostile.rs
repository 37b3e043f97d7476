//! UDFs that try to break out: each trick fails as the table of `sample_udf/hostile` says, leaves
//! nothing, and the pool goes on serving.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use common::tricks::{play, rows, surprises};
use common::{SANDBOXES, TestBed, in_every_sandbox};

async fn each_fails_as_documented(bed: TestBed, group: &str) {
    let sandbox = SANDBOXES
        .iter()
        .position(|it| *it == (bed.mode, bed.filter));
    let sandbox = sandbox.unwrap();
    let rows = rows(group);
    let played = play(&bed, group, &rows).await;
    assert_eq!(played.len(), rows.len());
    let surprises = surprises(sandbox, &rows, &played);
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
}

in_every_sandbox! {
    async fn the_file_system_gives_nothing_away(bed: TestBed) {
        each_fails_as_documented(bed, "File system").await;
    }

    async fn own_files_lead_nowhere(bed: TestBed) {
        each_fails_as_documented(bed, "Own files").await;
    }

    async fn no_process_reaches_another_or_lives_on(bed: TestBed) {
        each_fails_as_documented(bed, "Processes").await;
    }

    async fn no_right_can_be_had(bed: TestBed) {
        each_fails_as_documented(bed, "Privileges").await;
    }

    async fn nobody_can_be_reached(bed: TestBed) {
        each_fails_as_documented(bed, "Network").await;
    }

    async fn no_limit_can_be_passed(bed: TestBed) {
        each_fails_as_documented(bed, "Resources").await;
    }

    async fn requests_do_not_meet(bed: TestBed) {
        each_fails_as_documented(bed, "Meetings").await;
    }
}
