//! One client at full tilt, and a neighbour.

use std::time::Duration;

use roma_byob::{CodeToken, LibraryMount, Service};

use super::player::library;
use crate::common::processes::descendants;
use crate::common::requests::{assert_echoes, until_busy, until_ready};
use crate::common::sandboxes::sandbox_process;
use crate::common::{TestBed, patient, udf, until, workers};

pub const CALLS: &[&str] = &[
    "cache_of_library",
    "full_pipes",
    "full_sockets",
    "descriptors_in_flight",
    "futexes",
    "epoll_of_epolls",
    "epoll_edges",
    "log_flood",
    "path_lookups",
    "random_bytes",
    "barriers",
];

pub const PROCESSES_AND_MEMORY: &[&str] = &[
    "exec_storm",
    "yields",
    "spins",
    "outlive",
    "maps_and_unmaps",
    "protections",
    "splitting_mappings",
    "locks_of_file",
    "drip_of_response",
    "endless_response",
];

/// How often the neighbour is asked during a storm, and how long it waits between.
const ASKED: usize = 5;
const PAUSE: Duration = Duration::from_millis(20);

/// Lets one storm after the other rage beside a neighbour of other code, which must be answered.
pub async fn rage(bed: &TestBed, storms: &[&str]) {
    let library = library();
    let mount = LibraryMount::at(library.path(), "/shared");
    let service = bed.builder().library(mount).start().await.unwrap();
    let neighbour = service
        .load(udf("misbehaving_udf"), workers(2))
        .await
        .unwrap();
    let colluding = service
        .load(udf("colluding_udf"), workers(1))
        .await
        .unwrap();
    until_ready(&service, &neighbour, 2).await;
    until_ready(&service, &colluding, 1).await;
    let sandbox = sandbox_process(&service);
    let before = descendants(sandbox).len();
    for storm in storms {
        eprintln!("{storm}");
        weather(&service, &colluding, &neighbour, storm).await;
        assert_eq!(
            sandbox_process(&service),
            sandbox,
            "{storm}: the sandbox was replaced"
        );
    }
    // In gVisor, processes are not the host's, and some that carry them are kept for reuse.
    let nothing_left = || bed.is_gvisor() || descendants(sandbox).len() <= before;
    until("no process of a storm is left", nothing_left).await;
    service.shutdown().await;
}

async fn weather(service: &Service, colluding: &CodeToken, neighbour: &CodeToken, storm: &str) {
    let execution = service.execute(colluding, format!("storm {storm}"), patient());
    let canceller = execution.canceller();
    let outcome = tokio::spawn(execution.outcome());
    until_busy(service, colluding).await;
    for _ in 0..ASKED {
        assert_echoes(service, neighbour).await;
        tokio::time::sleep(PAUSE).await;
    }
    canceller.cancel();
    // That it has an outcome means that its process and all that it started are gone.
    let outcome = outcome.await.unwrap();
    assert!(outcome.result.is_err(), "{storm} answered");
}
