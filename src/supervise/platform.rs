//! Chooses gVisor's platform: the fastest one on this machine, measured once and then remembered.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use roma_core::{Error, SandboxFailure};
use roma_io::Seqpacket;
use roma_io::stream;
use roma_protocol::WorkerId;
use roma_protocol::spawner::{FromSpawner, MESSAGE_BYTES, Spawn, ToSpawner};
use roma_sandbox::name::ExecutionName;
use roma_sandbox::seccomp::FilterLevel;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::options::Platform;
use crate::outer::OuterConfig;
use crate::pool_code::PoolCode;
use crate::programs::Runsc;
use crate::remembered::Remembered;
use crate::sandbox::Sandbox;

/// How many processes are started on each platform, the first few of them to warm up.
const CYCLES: u64 = 40;
const WARM_UP: u64 = 8;
/// A platform that takes longer does not work here. On a busy machine all are slow.
const TIME_LIMIT: Duration = Duration::from_secs(30);
/// The same, once another platform works.
const TIME_LIMIT_WITH_ANOTHER: Duration = Duration::from_secs(5);
/// The version of the conditions under which programs run inside. A change makes older measurements
/// invalid.
const CONDITIONS: u32 = 4;
/// A platform that takes this many times as long as the first is given up. (In virtual machines kvm may
/// hang although its device exists.)
const MOST_TIMES: u32 = 2;

/// Returns the platform to use: the one that was asked for, or the fastest.
pub(crate) async fn resolve(config: &OuterConfig) -> Result<Platform, Error> {
    match config.mode.is_gvisor() && config.platform == Platform::Auto {
        true => choose(config).await,
        false => {
            warn_of_systrap(config);
            Ok(config.platform)
        }
    }
}

fn warn_of_systrap(config: &OuterConfig) {
    let named = config.mode.is_gvisor() && config.platform == Platform::Systrap;
    if named && !config.runsc.resets_stubs() {
        tracing::warn!(
            version = config.runsc.version,
            "on systrap this runsc lets a program leave a message for the next one: use ptrace, or \
             the runsc of third_party/runsc"
        );
    }
}

/// Returns the platform that was measured before, or measures. A caller that comes while another one
/// measures waits: two measurements at once would disturb each other.
async fn choose(config: &OuterConfig) -> Result<Platform, Error> {
    static KNOWN: Mutex<BTreeMap<u64, Platform>> = Mutex::const_new(BTreeMap::new());
    let key = key(&config.runsc);
    let mut known = KNOWN.lock().await;
    if let Some(platform) = known.get(&key) {
        return Ok(*platform);
    }
    let memory = Remembered::new(&format!("platform-{key:016x}"));
    let platform = match memory.read().and_then(|text| text.trim().parse().ok()) {
        Some(platform) => platform,
        None => {
            let platform = fastest(config).await?;
            if config.runsc.is_known() {
                memory.write(&format!("{platform}\n"));
            }
            platform
        }
    };
    known.insert(key, platform);
    Ok(platform)
}

async fn fastest(config: &OuterConfig) -> Result<Platform, Error> {
    let mut best = None;
    let mut time_limit = TIME_LIMIT;
    let mut failures = Vec::new();
    tracing::info!("measuring gVisor's platforms, once for this machine and this runsc");
    for platform in candidates(&config.runsc) {
        let config = OuterConfig {
            platform,
            ..config.clone()
        };
        let since = Instant::now();
        match timeout(time_limit, measure(&config)).await {
            Ok(Ok(time)) => {
                tracing::info!(%platform, ?time, "measured");
                let limit = TIME_LIMIT_WITH_ANOTHER.min(since.elapsed() * MOST_TIMES);
                time_limit = time_limit.min(limit);
                if best.is_none_or(|(shortest, _)| time < shortest) {
                    best = Some((time, platform));
                }
            }
            Ok(Err(error)) => failures.push(format!("{platform}: {error}")),
            Err(_) => failures.push(format!("{platform}: hangs")),
        }
    }
    match best {
        Some((_, platform)) => Ok(platform),
        None => {
            let what = format!("no platform of gVisor works here; {}", failures.join("; "));
            Err(Error::SandboxStart(Arc::new(SandboxFailure::new(what))))
        }
    }
}

/// Returns the platforms to measure. Without our patch, systrap lets a program leave a message for the
/// next one, so it must be asked for by name.
fn candidates(runsc: &Runsc) -> Vec<Platform> {
    let kvm = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/kvm")
        .is_ok();
    let mut platforms = vec![Platform::Ptrace];
    if runsc.resets_stubs() {
        platforms.insert(0, Platform::Systrap);
    }
    platforms.extend(kvm.then_some(Platform::Kvm));
    platforms
}

/// Returns the time of one cycle: a process is made, executed and gone.
async fn measure(config: &OuterConfig) -> Result<Duration, Error> {
    let sandbox = EndOnDrop(Sandbox::new(config)?);
    sandbox.0.start().await?;
    // Any static program will do. This one prints its usage and exits.
    let program = fs::read(&config.run_workers).map_err(|e| Error::host("read run_workers", e))?;
    let code = PoolCode {
        bytes: program.into(),
        private_ipc: true,
        filter: FilterLevel::Strict,
        ..PoolCode::default()
    };
    let prepared = sandbox.0.prepare(&code, 1).await?;
    let mut since = Instant::now();
    for cycle in 0..CYCLES {
        if cycle == WARM_UP {
            since = Instant::now();
        }
        run_once(WorkerId(cycle), &prepared.spawners[0]).await?;
    }
    Ok(since.elapsed() / (CYCLES - WARM_UP) as u32)
}

/// Starts one worker and waits for its end.
async fn run_once(worker: WorkerId, spawner: &Seqpacket) -> Result<(), Error> {
    let no_connection = |e| Error::host("make a worker's connections", e);
    let (_data, data_inside) = stream::pair().map_err(no_connection)?;
    let (_log, log_inside) = stream::pipe().map_err(no_connection)?;
    let spawn = Spawn {
        worker,
        name: ExecutionName([0; 16]),
        host_functions: false,
        report_start: false,
    };
    send(spawner, spawn, [data_inside, log_inside]).await?;
    let mut packet = [0; MESSAGE_BYTES];
    let count = spawner.recv(&mut packet).await;
    let count = count.map_err(|e| Error::host("receive from a spawner", e))?;
    match FromSpawner::decode(&packet[..count]) {
        Ok(FromSpawner::Exited(_)) => Ok(()),
        Ok(FromSpawner::Failed(_, failure)) => Err(Error::WorkerStart(failure)),
        _ => Err(Error::Internal(
            "a spawner did not report the end of a worker",
        )),
    }
}

async fn send(spawner: &Seqpacket, spawn: Spawn, inside: [OwnedFd; 2]) -> Result<(), Error> {
    let packet = ToSpawner::Spawn(spawn).encode();
    let sent = spawner
        .send(&packet, &inside.each_ref().map(AsFd::as_fd))
        .await;
    sent.map_err(|e| Error::host("send to a spawner", e))
}

struct EndOnDrop(Arc<Sandbox>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Returns a key that changes with everything that may change the result.
fn key(runsc: &Runsc) -> u64 {
    let mut hasher = DefaultHasher::new();
    CONDITIONS.hash(&mut hasher);
    for file in [
        "/etc/machine-id",
        "/proc/sys/kernel/osrelease",
        "/proc/sys/kernel/version",
    ] {
        fs::read_to_string(file)
            .unwrap_or_default()
            .hash(&mut hasher);
    }
    std::thread::available_parallelism()
        .map_or(1, usize::from)
        .hash(&mut hasher);
    host_filters().hash(&mut hasher);
    for platform in candidates(runsc) {
        platform.to_string().hash(&mut hasher);
    }
    (&runsc.digest, &runsc.version).hash(&mut hasher);
    hasher.finish()
}

/// Returns how many seccomp filters this process runs below. One of them may have a listener, which
/// slows systrap down.
fn host_filters() -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let mut lines = status.lines();
    lines.find_map(|line| Some(line.strip_prefix("Seccomp_filters:")?.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runsc(digest: &str) -> Runsc {
        let mut runsc = Runsc::at("/bin/runsc");
        runsc.digest = digest.to_owned();
        runsc
    }

    #[test]
    fn the_key_belongs_to_the_content_of_the_program() {
        let mut moved = runsc("a");
        moved.path = "/elsewhere/runsc".into();
        assert_eq!(key(&runsc("a")), key(&moved));
        assert_ne!(key(&runsc("a")), key(&runsc("b")));
    }

    #[test]
    fn systrap_is_only_chosen_with_a_runsc_that_resets_stub_processes() {
        let mut runsc = runsc("a");
        runsc.version = "20250820.0".into();
        assert!(!candidates(&runsc).contains(&Platform::Systrap));
        runsc.version = "20240729.0+roma.0 (seccomp-notify stub-reset)".into();
        assert_eq!(candidates(&runsc)[0], Platform::Systrap);
    }

    #[test]
    fn this_process_knows_its_filters() {
        let filters = host_filters().unwrap();
        assert!(filters.parse::<u32>().is_ok(), "{filters}");
    }
}
