//! The resources that the service and its sandboxes use at one moment.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use roma_sandbox::cgroup::Hierarchies;

const MIB: f64 = (1 << 20) as f64;
/// The page size, which is the same on every machine that Roma runs on.
const PAGE_BYTES: f64 = 4096.0;

/// Counts and sizes.
#[derive(Debug, Clone, Default)]
pub struct Held {
    /// Memory of this process, in MiB.
    pub host_memory: f64,
    /// Memory of all processes of the sandboxes, in MiB; what they share counts for each.
    pub sandbox_memory: f64,
    pub descriptors: usize,
    pub threads: usize,
    /// Processes of the sandboxes.
    pub processes: usize,
    /// In every mount namespace of this process and of the sandbox.
    pub mounts: usize,
    /// Files and folders of the service.
    pub files: usize,
    pub groups: usize,
}

impl Held {
    /// Takes a sample.
    pub fn now(run_dir: &Path, sandboxes: &[u32]) -> Self {
        let this = std::process::id();
        let sandboxed = descendants(this);
        Self {
            host_memory: memory(this),
            sandbox_memory: sandboxed.iter().map(|pid| memory(*pid)).sum(),
            descriptors: entries("/proc/self/fd"),
            threads: entries("/proc/self/task"),
            processes: sandboxed.len(),
            mounts: mounts(sandboxed.iter().chain([&this])),
            files: files(run_dir),
            groups: groups(sandboxes),
        }
    }
}

/// Returns all descendants of a process.
pub fn descendants(process: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{process}/task"));
    let lists = threads
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let children: Vec<u32> = lists
        .flat_map(|list| {
            list.split_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect();
    let below = children.iter().flat_map(|child| descendants(*child));
    below.chain(children.iter().copied()).collect()
}

/// The control groups of the pools of sandboxes with these processes.
pub fn groups(sandboxes: &[u32]) -> usize {
    let prefixes: Vec<_> = sandboxes.iter().map(|id| format!("roma-{id}-")).collect();
    let mut count = 0;
    Hierarchies::discover().for_each_group(|name| {
        count += usize::from(prefixes.iter().any(|prefix| name.starts_with(prefix)));
    });
    count
}

/// Files and folders below a folder.
pub fn files(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => 1 + files(&entry.path()),
            _ => 1,
        })
        .sum()
}

fn memory(process: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{process}/statm")).unwrap_or_default();
    let pages = text.split_whitespace().nth(1);
    pages
        .and_then(|text| text.parse::<f64>().ok())
        .unwrap_or(0.0)
        * PAGE_BYTES
        / MIB
}

fn mounts<'a>(processes: impl Iterator<Item = &'a u32>) -> usize {
    let mut seen: HashSet<PathBuf> = HashSet::new();
    let mut count = 0;
    for process in processes {
        let folder = Path::new("/proc").join(process.to_string());
        let Ok(namespace) = fs::read_link(folder.join("ns/mnt")) else {
            continue;
        };
        if seen.insert(namespace) {
            let list = fs::read_to_string(folder.join("mountinfo")).unwrap_or_default();
            count += list.lines().count();
        }
    }
    count
}

fn entries(folder: &str) -> usize {
    fs::read_dir(folder).map_or(0, Iterator::count)
}
