//! Chooses gVisor's platform: the fastest one on this machine, measured once and then remembered.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
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
const CONDITIONS: u32 = 2;
/// A platform that takes this many times as long as the first is given up. (In virtual machines kvm may
/// hang although its device exists.)
const MOST_TIMES: u32 = 4;

/// Returns the platform to use: the one that was asked for, or the fastest.
pub(crate) async fn resolve(config: &OuterConfig) -> Result<Platform, Error> {
    match config.mode.is_gvisor() && config.platform == Platform::Auto {
        true => choose(config).await,
        false => Ok(config.platform),
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
    let cache = Cache::new(key);
    let platform = match cache.read() {
        Some(platform) => platform,
        None => fastest(config)
            .await
            .inspect(|platform| cache.write(*platform))?,
    };
    known.insert(key, platform);
    Ok(platform)
}

async fn fastest(config: &OuterConfig) -> Result<Platform, Error> {
    let mut best = None;
    let mut time_limit = TIME_LIMIT;
    let mut failures = Vec::new();
    for platform in candidates() {
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

fn candidates() -> impl Iterator<Item = Platform> {
    let kvm = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/kvm")
        .is_ok();
    [Platform::Systrap, Platform::Ptrace]
        .into_iter()
        .chain(kvm.then_some(Platform::Kvm))
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
        filter: FilterLevel::None,
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

/// The file with the platform that was measured for this machine, kernel and runsc.
struct Cache {
    file: Option<PathBuf>,
}

impl Cache {
    fn new(key: u64) -> Self {
        let file = cache_dir().map(|dir| dir.join(format!("platform-{key:016x}")));
        Self { file }
    }

    fn read(&self) -> Option<Platform> {
        fs::read_to_string(self.file.as_ref()?)
            .ok()?
            .trim()
            .parse()
            .ok()
    }

    /// Ignores failures: they only cost the next start another measurement.
    fn write(&self, platform: Platform) {
        let Some(file) = &self.file else { return };
        let fresh = file.with_extension(std::process::id().to_string());
        let folder = file.parent().map(fs::create_dir_all);
        let written = folder.is_some_and(|made| made.is_ok())
            && fs::write(&fresh, format!("{platform}\n")).is_ok();
        if written {
            let _ = fs::rename(&fresh, file);
        }
    }
}

fn cache_dir() -> Option<PathBuf> {
    let set = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let base = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")))?;
    Some(base.join("roma"))
}

/// Returns a key that changes with everything that may change the result.
fn key(runsc: &Path) -> u64 {
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
    if let Ok(meta) = fs::metadata(runsc) {
        (runsc, meta.size(), meta.mtime(), meta.ino()).hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measured_platform_is_remembered() {
        let scratch = tempfile::tempdir().unwrap();
        let cache = Cache {
            file: Some(scratch.path().join("deep/platform-1")),
        };
        assert_eq!(cache.read(), None);
        cache.write(Platform::Ptrace);
        assert_eq!(cache.read(), Some(Platform::Ptrace));
        assert_eq!(
            fs::read_dir(scratch.path().join("deep")).unwrap().count(),
            1
        );
    }

    #[test]
    fn an_invalid_cache_file_is_ignored() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("platform-1");
        fs::write(&file, "warp drive").unwrap();
        assert_eq!(Cache { file: Some(file) }.read(), None);
    }

    #[test]
    fn another_runsc_has_another_key() {
        assert_ne!(key(Path::new("/bin/sh")), key(Path::new("/bin/ls")));
    }
}
