//! UDFs that try to break out: each trick ends as the table of `sample_udf/hostile` documents, leaves
//! nothing behind, and the pool goes on serving.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::time::Duration;

use roma_byob::{Error, ExecuteOptions};

use common::requests::assert_echoes;
use common::trick_table::{rows, surprises};
use common::tricks::play;
use common::{SANDBOXES, TestBed, in_every_sandbox, is_root, patient, udf, workers};

async fn tricks_fail_as_documented(bed: TestBed, group: &str) {
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
    async fn file_system_tricks_fail_as_documented(bed: TestBed) {
        tricks_fail_as_documented(bed, "File system").await;
    }

    async fn own_file_tricks_fail_as_documented(bed: TestBed) {
        // This group needs /proc, which an ordinary user cannot mount without gVisor.
        if !is_root() && !bed.is_gvisor() {
            return;
        }
        tricks_fail_as_documented(bed, "Own files").await;
    }

    async fn process_tricks_fail_as_documented(bed: TestBed) {
        tricks_fail_as_documented(bed, "Processes").await;
    }

    async fn privilege_tricks_fail_as_documented(bed: TestBed) {
        tricks_fail_as_documented(bed, "Privileges").await;
    }

    async fn network_tricks_fail_as_documented(bed: TestBed) {
        tricks_fail_as_documented(bed, "Network").await;
    }

    async fn resource_tricks_fail_as_documented(bed: TestBed) {
        tricks_fail_as_documented(bed, "Resources").await;
    }

    async fn starving_tricks_fail_as_documented(bed: TestBed) {
        tricks_fail_as_documented(bed, "Starving").await;
    }

    async fn a_neighbour_is_served_during_every_starving_trick(bed: TestBed) {
        let service = bed.service().await;
        let neighbour = service.load(udf("misbehaving_udf"), workers(2)).await.unwrap();
        let hostile = service.load(udf("hostile_udf"), workers(1)).await.unwrap();
        for row in rows("Starving") {
            eprintln!("{}", row.trick);
            let short = ExecuteOptions { deadline: Duration::from_millis(800), ..patient() };
            let mut storm = service.execute(&hostile, format!("{} neighbour", row.trick), short);
            let mut served = 0;
            let error = loop {
                tokio::select! {
                    biased;
                    ended = &mut storm => break ended.unwrap_err(),
                    () = assert_echoes(&service, &neighbour) => served += 1,
                }
            };
            assert!(matches!(error, Error::Deadline { .. }), "{error:?}");
            assert!(served > 0, "no request was answered meanwhile");
            // Its process and all that it started are gone.
            storm.report().await;
        }
        service.shutdown().await;
    }

    async fn meeting_tricks_fail_as_documented(bed: TestBed) {
        tricks_fail_as_documented(bed, "Meetings").await;
    }
}

/// Without one of these guards, a trick has another outcome. `bazel run //src/byob:guards` shows it for
/// all guards.
mod a_missing_guard_is_noticed {
    use crate::common::is_root;
    use crate::common::weakened::{GUARDS, MINIMAL, surprises_without};

    fn assert_noticed(name: &str, trick: &str) {
        let guard = GUARDS.iter().find(|guard| guard.name == name).unwrap();
        let surprises = surprises_without(guard, MINIMAL);
        let of_trick = |surprise: &String| surprise.starts_with(&format!("`{trick}` "));
        assert!(surprises.iter().any(of_trick), "{name}: {surprises:?}");
    }

    #[test]
    fn ipc_namespace() {
        assert_noticed("IpcNamespace", "find_shared_memory");
    }

    #[test]
    fn ipc_namespace_of_pool() {
        assert_noticed("IpcNamespaceOfPool", "share_namespaces_with_other_code");
    }

    #[test]
    fn dropped_capabilities() {
        assert_noticed("DroppedCapabilities", "take_over_spawner");
    }

    #[test]
    fn filter_of_arguments() {
        assert_noticed("FilterOfArguments", "turn_off_randomness");
    }

    #[test]
    fn read_only_root() {
        // The UDF of an ordinary user then deletes its own program, and the pool cannot go on.
        if !is_root() {
            return;
        }
        assert_noticed("ReadOnlyRoot", "create_file");
    }

    #[test]
    fn session_keyring() {
        assert_noticed("SessionKeyring", "find_session_keyring");
    }

    #[test]
    fn own_root() {
        assert_noticed("OwnRoot", "find_wakes_of_shared_page");
    }

    #[test]
    fn closed_descriptors() {
        assert_noticed("ClosedDescriptors", "use_leaked_descriptor");
    }
}

/// The shipped `run_workers` cannot turn off a guard: it does not contain the marker that asks for it.
#[test]
fn shipped_run_workers_has_no_guard_switch() {
    let marker = b"\nwithout-guard:";
    let contains = |variable: &str| {
        let bytes = std::fs::read(common::program(variable)).unwrap();
        bytes.windows(marker.len()).any(|bytes| bytes == marker)
    };
    assert!(contains("ROMA_RUN_WORKERS_WITHOUT_GUARD"));
    assert!(!contains("ROMA_RUN_WORKERS"));
}
