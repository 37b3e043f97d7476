//! What a service holds while no request is under way.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::unistd::Pid;
use roma_byob::{CodeToken, Service};

use crate::common::processes::descendants;
use crate::common::sandboxes::processes_without_workers;
use crate::common::traces::descriptors;
use crate::common::{PATIENCE, TestBed, program, until};
use crate::neighbour::Neighbour;
use crate::storm::Storm;

/// The number of workers of each code.
pub const WORKERS: u32 = 4;

/// Who shares a service.
pub struct Sides<'a> {
    pub bed: &'a TestBed,
    pub service: &'a Service,
    pub neighbour: &'a Neighbour,
    pub storm: &'a Storm,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Standing {
    /// The processes of the outer sandboxes: a sandbox that was replaced has others.
    sandboxes: Vec<u32>,
    /// `run_workers` and spawners, where the host sees them.
    spawners: Vec<Pid>,
    /// The number of all processes in the sandbox.
    processes: usize,
    /// This process's descriptors.
    descriptors: BTreeMap<PathBuf, usize>,
}

impl Standing {
    /// Waits until exactly as many workers are alive as were asked for, and all are ready.
    pub async fn once_settled(sides: &Sides<'_>) -> Self {
        // A worker that was started for a request that then gave up stays, until another uses it.
        while settled(sides.service, sides.neighbour.code).await > WORKERS as usize {
            sides.neighbour.ask().await;
        }
        while settled(sides.service, sides.storm.code).await > WORKERS as usize {
            sides.storm.ask().await;
        }
        Self::now(sides.bed, sides.service)
    }

    /// Waits until all is as it was `before`. What is closed last may be so after the last report.
    pub async fn until_same(sides: &Sides<'_>, before: &Self) {
        let since = Instant::now();
        let mut now = Self::once_settled(sides).await;
        while now != *before && since.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_millis(20)).await;
            now = Self::once_settled(sides).await;
        }
        assert_eq!(now, *before);
    }

    fn now(bed: &TestBed, service: &Service) -> Self {
        let mut spawners = match bed.is_gvisor() {
            true => Vec::new(),
            false => processes_without_workers(bed, service),
        };
        spawners.sort();
        Self {
            sandboxes: service.sandbox_processes(),
            spawners,
            processes: match bed.is_gvisor() {
                true => processes_in_gvisor(bed),
                false => descendants(Pid::this()).len(),
            },
            descriptors: descriptors(),
        }
    }
}

/// Waits until all workers of this code are ready. Returns their number.
async fn settled(service: &Service, code: CodeToken) -> usize {
    let counts = || service.status(&code).unwrap().counts;
    let is_settled = || {
        let counts = counts();
        counts.ready == counts.live() && counts.ready >= WORKERS as usize
    };
    until("all workers are ready", is_settled).await;
    let status = service.status(&code).unwrap();
    assert!(status.is_healthy(), "{:?}", status.failure);
    status.counts.ready
}

/// The number of processes that gVisor's kernel has.
fn processes_in_gvisor(bed: &TestBed) -> usize {
    let instances = fs::read_dir(bed.run_dir.path()).unwrap().flatten();
    let mut instances = instances.filter(|entry| entry.path().is_dir());
    let instance = instances.next().unwrap();
    let list = Command::new(program("ROMA_RUNSC"))
        .arg("--root")
        .arg(instance.path().join("runsc"))
        .args(["ps", "--format=json"])
        .arg(instance.file_name())
        .output()
        .unwrap();
    assert!(list.status.success(), "{list:?}");
    let processes: serde_json::Value = serde_json::from_slice(&list.stdout).unwrap();
    processes.as_array().unwrap().len()
}
