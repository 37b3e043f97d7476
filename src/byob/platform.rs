//! Which of gVisor's platforms is the fastest here: measured once, then remembered.
//!
//! Which one wins depends on the machine: systrap on most, ptrace inside some virtual machines, kvm
//! on bare metal.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use roma_protocol::WorkerId;
use roma_protocol::spawner::FromSpawner;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::config::{Platform, SyscallFilter};
use crate::error::{Error, SandboxFailure};
use crate::image;
use crate::load::LoadOptions;
use crate::outer::OuterConfig;
use crate::pool::Pool;
use crate::sandbox::{PoolPolicy, Sandbox};
use crate::token::CodeToken;
use crate::worker;

/// How many processes are started on each platform, the first few of them to warm up.
const CYCLES: u64 = 40;
const WARM_UP: u64 = 8;
/// A platform that takes longer does not work here. On a machine that is busy all are slow.
const PATIENCE: Duration = Duration::from_secs(30);
/// One that takes longer is not worth waiting for if another works.
const PATIENCE_WITH_ANOTHER: Duration = Duration::from_secs(5);
/// Under what conditions programs run inside: another number where they have become others, and what was
/// measured counts no more.
const CONDITIONS: u32 = 2;
/// One that takes so many times as long as another that was measured is not worth waiting for. (In
/// virtual machines kvm may hang although its device is there.)
const MOST_TIMES: u32 = 4;

/// The platform to use: the one that is named, or the fastest.
pub(crate) async fn resolve(config: &OuterConfig) -> Result<Platform, Error> {
    match config.mode.is_gvisor() && config.platform == Platform::Auto {
        true => choose(config).await,
        false => Ok(config.platform),
    }
}

/// What was measured or remembered before, or else the fastest platform that works. Who asks while
/// somebody measures waits for that: two measurements at once would spoil each other.
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
    let mut patience = PATIENCE;
    let mut failures = Vec::new();
    for platform in candidates() {
        let config = OuterConfig {
            platform,
            ..config.clone()
        };
        let since = Instant::now();
        match timeout(patience, measure(&config)).await {
            Ok(Ok(time)) => {
                tracing::info!(%platform, ?time, "measured");
                let limit = PATIENCE_WITH_ANOTHER.min(since.elapsed() * MOST_TIMES);
                patience = patience.min(limit);
                if best.is_none_or(|(shortest, _)| time < shortest) {
                    best = Some((time, platform));
                }
            }
            // (without what would mend it, which is said once, for all)
            Ok(Err(Error::SandboxStart(failure))) => {
                failures.push(format!("{platform}: {failure}"))
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

/// The time of one cycle: a process is made, executed and gone.
async fn measure(config: &OuterConfig) -> Result<Duration, Error> {
    let sandbox = EndOnDrop(Sandbox::new(config)?);
    sandbox.0.start().await?;
    let policy = PoolPolicy {
        filter: SyscallFilter::None,
        private_ipc: true,
        spawners: 1,
    };
    // Any static program will do. This one says what its arguments should be, and exits.
    let program = image::of_bytes(image::read(&config.run_workers)?, &[])?;
    let pool = Pool::new(CodeToken::new(0, 0), LoadOptions::default(), program);
    let prepared = sandbox.0.prepare(&pool, &policy, policy.spawners).await?;
    let spawner = &prepared.spawners[0];
    let mut since = Instant::now();
    for cycle in 0..CYCLES {
        if cycle == WARM_UP {
            since = Instant::now();
        }
        let _connections = worker::start(WorkerId(cycle), spawner, &pool.options, false)
            .map_err(|e| Error::host("start a worker", e))?;
        match spawner
            .next()
            .await
            .map_err(|e| Error::host("hear of a worker", e))?
        {
            Some(FromSpawner::Exited(_)) => {}
            Some(FromSpawner::Failed(_, failure)) => return Err(Error::WorkerStart(failure)),
            _ => return Err(Error::ShutDown),
        }
    }
    Ok(since.elapsed() / (CYCLES - WARM_UP) as u32)
}

struct EndOnDrop(Arc<Sandbox>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// What was measured before, for this machine, kernel and runsc.
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

    /// Whether it can be remembered changes nothing but the next start's time.
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

/// Changes with whatever may change the answer.
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
    fn what_was_measured_is_remembered() {
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
    fn nonsense_in_the_cache_is_measured_again() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("platform-1");
        fs::write(&file, "warp drive").unwrap();
        assert_eq!(Cache { file: Some(file) }.read(), None);
    }

    #[test]
    fn another_runsc_is_another_question() {
        assert_ne!(key(Path::new("/bin/sh")), key(Path::new("/bin/ls")));
    }
}
