//! UDFs that try to break out: each trick fails as the table of `sample_udf/hostile` says, leaves
//! nothing, and the pool goes on serving.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use common::tricks::{play, rows, surprises};
use common::{SANDBOXES, TestBed, in_every_sandbox, is_root};

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
        // Their code asks for /proc, which an ordinary user cannot give without gVisor.
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

    async fn meeting_tricks_fail_as_documented(bed: TestBed) {
        tricks_fail_as_documented(bed, "Meetings").await;
    }
}

/// For a handful of guards: without one, a trick comes to something else. `bazel run //src/byob:guards`
/// shows it for all.
mod a_missing_guard_is_noticed {
    use crate::common::is_root;
    use crate::common::weakened::{GUARDS, MINIMAL, falls_without};

    fn shows(name: &str, trick: &str) {
        let guard = GUARDS.iter().find(|guard| guard.name == name).unwrap();
        let fallen = falls_without(guard, MINIMAL);
        let told = |fallen: &String| fallen.starts_with(&format!("`{trick}` "));
        assert!(fallen.iter().any(told), "{name}: {fallen:?}");
    }

    #[test]
    fn ipc_namespace() {
        shows("IpcNamespace", "find_shared_memory");
    }

    #[test]
    fn ipc_namespace_of_pool() {
        shows("IpcNamespaceOfPool", "share_namespaces_with_other_code");
    }

    #[test]
    fn dropped_capabilities() {
        shows("DroppedCapabilities", "take_over_spawner");
    }

    #[test]
    fn filter_of_arguments() {
        shows("FilterOfArguments", "turn_off_randomness");
    }

    #[test]
    fn read_only_root() {
        // An ordinary user's UDF then deletes even itself, and nothing goes on.
        if !is_root() {
            return;
        }
        shows("ReadOnlyRoot", "create_file");
    }

    #[test]
    fn closed_descriptors() {
        shows("ClosedDescriptors", "use_leaked_descriptor");
    }
}

/// What is shipped cannot do without a guard: it does not even know what asks for it.
#[test]
fn shipped_run_workers_has_no_guard_switch() {
    let mark = b"\nwithout-guard:";
    let holds = |variable: &str| {
        let bytes = std::fs::read(common::program(variable)).unwrap();
        bytes.windows(mark.len()).any(|bytes| bytes == mark)
    };
    assert!(holds("ROMA_RUN_WORKERS_WITHOUT_GUARD"));
    assert!(!holds("ROMA_RUN_WORKERS"));
}
