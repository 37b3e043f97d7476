//! Checks that a service leaves no descriptors, mounts or processes behind.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::prctl::set_child_subreaper;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use super::processes::{children, descendants};
use super::{PATIENCE, TestBed};

/// The descriptors, mounts and processes that this process holds.
#[derive(Debug, PartialEq, Eq)]
struct Traces {
    descriptors: BTreeMap<PathBuf, usize>,
    mounts: String,
    children: Vec<Pid>,
}

impl Traces {
    fn now() -> Self {
        reap_orphans();
        Self {
            descriptors: descriptors(),
            mounts: fs::read_to_string("/proc/self/mountinfo").unwrap(),
            children: descendants(Pid::this()),
        }
    }
}

/// How many descriptors of each kind this process has.
pub fn descriptors() -> BTreeMap<PathBuf, usize> {
    let mut descriptors = BTreeMap::new();
    for entry in fs::read_dir("/proc/self/fd").unwrap().flatten() {
        // The number of a socket or pipe differs each time; its kind does not.
        if let Ok(target) = fs::read_link(entry.path()) {
            let kind = target
                .to_string_lossy()
                .split('[')
                .next()
                .map(PathBuf::from);
            *descriptors.entry(kind.unwrap()).or_default() += 1;
        }
    }
    descriptors
}

/// Runs a test alone in this process and checks that it leaves no traces. Orphans become children of
/// this process, so that the check finds them.
pub fn run_without_traces<F: Future<Output = ()>>(sandbox: usize, test: impl FnOnce(TestBed) -> F) {
    run_without_traces_for(PATIENCE * 2, sandbox, test);
}

/// As [`run_without_traces`], for a test that takes up to `time` if it does not hang.
pub fn run_without_traces_for<F: Future<Output = ()>>(
    time: Duration,
    sandbox: usize,
    test: impl FnOnce(TestBed) -> F,
) {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    set_child_subreaper(true).unwrap();
    // The first runtime of a process leaves a pair of sockets for signals open.
    drop(super::runtime());
    let before = Traces::now();
    super::run_for(time, sandbox, test);
    let since = Instant::now();
    while Traces::now() != before && since.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(Traces::now(), before);
}

fn reap_orphans() {
    for child in children(Pid::this()) {
        // Children that still run stay: the check must find them.
        let _ = waitpid(child, Some(WaitPidFlag::WNOHANG));
    }
}
