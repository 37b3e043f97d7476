//! The host's view of one running outer sandbox: its control connection and the pools in it.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::socket::{MsgFlags, send};
use roma_protocol::PoolId;
use roma_protocol::control::{FromRunWorkers, Load, MAX_MESSAGE_BYTES, ToRunWorkers};
use roma_protocol::spawner::{FromSpawner, Ready};
use roma_sandbox::limits::WorkerLimits;
use roma_sandbox::step::StepFailure;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use crate::config::SyscallFilter;
use crate::error::{Error, SandboxFailure};
use crate::exit::ExitStatus;
use crate::image::Image;
use crate::load::{InForce, Limits, LoadOptions};
use crate::log_capture::LogCapture;
use crate::outer::{Outer, OuterConfig};
use crate::pool::Pool;
use crate::reactor::watch as watched;
use crate::seqpacket::{Seqpacket, stream_pair};
use crate::spawner::Spawner;
use crate::watchdog::{Turn, Watchdog};

/// How long a sandbox may take to say hello, and a pool to be prepared.
const START_TIME: Duration = Duration::from_secs(20);
/// How long a sandbox that ended, or was told to, may take to be gone.
const END_TIME: Duration = Duration::from_millis(900);
/// How long it is waited for what a sandbox that is gone has printed.
const LAST_WORDS: Duration = Duration::from_millis(300);
/// How often to look whether the sandbox's program still runs.
const LIFE_CHECK: Duration = Duration::from_millis(100);

/// What holds for all code of a service.
#[derive(Debug, Clone)]
pub(crate) struct PoolPolicy {
    pub(crate) filter: SyscallFilter,
    pub(crate) private_ipc: bool,
    /// How many spawners code has that does not say.
    pub(crate) spawners: u32,
}

/// A running outer sandbox.
#[derive(Debug)]
pub(crate) struct Sandbox {
    config: OuterConfig,
    control: Seqpacket,
    program: Mutex<Program>,
    next_pool: AtomicU64,
    fates: Mutex<HashMap<PoolId, oneshot::Sender<Option<StepFailure>>>>,
    died: watch::Sender<Option<Error>>,
}

/// How far a sandbox has got.
#[derive(Debug)]
enum Program {
    /// With this as its standard input.
    ToStart(OwnedFd),
    Running(Box<Outer>),
    Ended,
}

impl Program {
    fn running(&mut self) -> Option<&mut Outer> {
        match self {
            Self::Running(outer) => Some(outer),
            Self::ToStart(_) | Self::Ended => None,
        }
    }

    /// It is not to start, or not to run, any more.
    fn take(&mut self) -> Self {
        std::mem::replace(self, Self::Ended)
    }
}

/// A pool that is prepared.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) spawners: Vec<Arc<Spawner>>,
    pub(crate) in_force: InForce,
    pub(crate) id: PoolId,
    /// Resolves when nothing of the pool is left.
    pub(crate) ended: oneshot::Receiver<Option<StepFailure>>,
}

impl Sandbox {
    /// One that is not started yet.
    pub(crate) fn new(config: &OuterConfig) -> Result<Arc<Self>, Error> {
        let (control, inside) =
            Seqpacket::pair().map_err(|e| Error::host("make the control connection", e))?;
        Ok(Arc::new(Self {
            config: config.clone(),
            control,
            program: Mutex::new(Program::ToStart(inside)),
            next_pool: AtomicU64::new(1),
            fates: Mutex::default(),
            died: watch::Sender::new(None),
        }))
    }

    /// Starts it and waits until it takes messages.
    pub(crate) async fn start(self: &Arc<Self>) -> Result<(), Error> {
        let sandbox = Arc::clone(self);
        blocking(move || sandbox.launch()).await??;
        match timeout(START_TIME, self.hello()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(failure)) => Err(Error::SandboxStart(self.autopsy(failure).await)),
            Err(_) => {
                let failure = SandboxFailure::new(format!("it said nothing within {START_TIME:?}"));
                Err(Error::SandboxStart(self.autopsy(failure).await))
            }
        }
    }

    fn launch(&self) -> Result<(), Error> {
        let mut program = lock(&self.program);
        let Program::ToStart(inside) = program.take() else {
            return Err(Error::ShutDown);
        };
        let outer = Outer::launch(&self.config, inside)
            .map_err(|e| Error::SandboxStart(Arc::new(SandboxFailure::new(e.to_string()))))?;
        *program = Program::Running(Box::new(outer));
        Ok(())
    }

    async fn hello(&self) -> Result<(), SandboxFailure> {
        match self.receive().await? {
            FromRunWorkers::Hello(hello) => {
                tracing::debug!(?hello, mode = %self.config.mode, "the sandbox is up");
                Ok(())
            }
            FromRunWorkers::Broken(failure) => Err(broken(failure)),
            other => Err(SandboxFailure::new(format!("it began with {other:?}"))),
        }
    }

    /// Reads what it says until it ends; then finds out why, and tells those who wait for that.
    pub(crate) async fn watch(self: &Arc<Self>) -> Error {
        let mut watchdog = Watchdog::new(self.config.silence);
        let failure = loop {
            let received = tokio::select! {
                biased;
                received = self.receive() => received,
                () = self.program_ended() => Err(SandboxFailure::new("its program was killed")),
                turn = watchdog.turn() => match turn {
                    Turn::Ask => {
                        // Without room there is no answer either.
                        let _ = self.control.try_send(&ToRunWorkers::Ping.encode(), &[]);
                        continue;
                    }
                    Turn::GiveUp => Err(silent("it", self.config.silence)),
                },
            };
            watchdog.heard();
            match received {
                Ok(FromRunWorkers::Pong) => {}
                Ok(FromRunWorkers::LoadRefused(pool, failure)) => self.fate(pool, Some(failure)),
                Ok(FromRunWorkers::PoolEnded(pool, _)) => self.fate(pool, None),
                Ok(FromRunWorkers::Broken(failure)) => break broken(failure),
                Ok(FromRunWorkers::Hello(_)) => break SandboxFailure::new("it said hello twice"),
                Err(failure) => break failure,
            }
        };
        let error = Error::SandboxDied(self.autopsy(failure).await);
        self.died.send_replace(Some(error.clone()));
        error
    }

    /// Why it ended. Waits until that is known.
    pub(crate) async fn cause_of_death(&self) -> Error {
        let mut died = self.died.subscribe();
        let cause = died.wait_for(Option::is_some).await;
        cause
            .ok()
            .and_then(|cause| cause.clone())
            .unwrap_or(Error::ShutDown)
    }

    /// The number of its program's process, while that runs.
    pub(crate) fn process(&self) -> Option<u32> {
        lock(&self.program).running().map(|outer| outer.id())
    }

    /// Ends it and all that runs in it. Blocks, at most for about two seconds; also while somebody
    /// else is at it, so that nothing is left when this returns.
    pub(crate) fn end(&self) {
        let mut program = lock(&self.program);
        self.control.shutdown();
        if let Program::Running(outer) = program.take() {
            outer.end(END_TIME);
        }
    }

    /// Ends what is left of it and adds what that tells.
    async fn autopsy(self: &Arc<Self>, mut failure: SandboxFailure) -> Arc<SandboxFailure> {
        let sandbox = Arc::clone(self);
        if let Ok(Some((exit, mut log))) = blocking(move || sandbox.examine()).await {
            failure.exit = exit;
            // What it printed last may still be on its way.
            let _ = timeout(LAST_WORDS, log.whole()).await;
            failure.log_tail = log.tail().text;
        }
        Arc::new(failure)
    }

    fn examine(&self) -> Option<(Option<ExitStatus>, LogCapture)> {
        let mut program = lock(&self.program);
        self.control.shutdown();
        let Program::Running(mut outer) = program.take() else {
            return None;
        };
        outer.wait(END_TIME);
        let log = outer.log();
        Some((outer.end(Duration::ZERO), log))
    }

    /// Waits for the end of the program. The connection does not always tell: processes that gVisor
    /// made hold it open for a while when gVisor itself is killed.
    async fn program_ended(&self) {
        // Who holds the lock is ending it.
        let runs = || match self.program.try_lock() {
            Ok(mut program) => program
                .running()
                .is_some_and(|outer| outer.exit_status().is_none()),
            Err(_) => false,
        };
        while runs() {
            tokio::time::sleep(LIFE_CHECK).await;
        }
    }

    async fn receive(&self) -> Result<FromRunWorkers, SandboxFailure> {
        let mut packet = [0; 256];
        match self.control.recv(&mut packet).await {
            Ok(0) => Err(SandboxFailure::new("its program ended")),
            Ok(count) => FromRunWorkers::decode(&packet[..count])
                .map_err(|e| SandboxFailure::new(format!("it does not keep to the protocol: {e}"))),
            Err(e) => Err(SandboxFailure::new(format!(
                "its control connection broke: {e}"
            ))),
        }
    }

    fn fate(&self, pool: PoolId, failure: Option<StepFailure>) {
        if let Some(fate) = lock(&self.fates).remove(&pool) {
            let _ = fate.send(failure);
        }
    }

    /// Prepares the pool's root and so many spawners inside.
    pub(crate) async fn prepare(
        &self,
        pool: &Pool,
        policy: &PoolPolicy,
        spawners: u32,
    ) -> Result<Prepared, Error> {
        match timeout(START_TIME, self.prepare_now(pool, policy, spawners)).await {
            Ok(result) => result,
            Err(_) => {
                let what = format!("it did not prepare the code within {START_TIME:?}");
                Err(Error::SandboxDied(Arc::new(SandboxFailure::new(what))))
            }
        }
    }

    async fn prepare_now(
        &self,
        pool: &Pool,
        policy: &PoolPolicy,
        count: u32,
    ) -> Result<Prepared, Error> {
        let no_connection = |e| Error::host("make a pool's connections", e);
        let id = PoolId(self.next_pool.fetch_add(1, Ordering::Relaxed));
        let (code, code_inside) = stream_pair().map_err(no_connection)?;
        let mut inside = vec![code_inside];
        let mut spawners = Vec::new();
        for _ in 0..count {
            let (link, theirs) = Seqpacket::pair().map_err(no_connection)?;
            spawners.push(Arc::new(Spawner::new(link)));
            inside.push(theirs);
        }
        let load = self.load_message(id, spawners.len(), pool, policy);
        let (fate, mut ended) = oneshot::channel();
        lock(&self.fates).insert(id, fate);
        self.send_load(&load, inside).await?;
        let in_force = tokio::select! {
            biased;
            fate = &mut ended => return Err(never_began(fate)),
            ready = until_ready(code, &pool.image, &spawners) => ready?,
        };
        Ok(Prepared {
            spawners,
            in_force,
            id,
            ended,
        })
    }

    /// Ends a pool that does not end by itself.
    pub(crate) async fn kill(&self, pool: PoolId) {
        // A sandbox that does not take it is about to be replaced with all that is in it.
        let _ = self
            .control
            .send(&ToRunWorkers::Kill(pool).encode(), &[])
            .await;
    }

    /// How long a process in it may be silent.
    pub(crate) fn silence(&self) -> Duration {
        self.config.silence
    }

    async fn send_load(&self, load: &ToRunWorkers, inside: Vec<OwnedFd>) -> Result<(), Error> {
        let packet = load.encode();
        if packet.len() > MAX_MESSAGE_BYTES {
            let source = io::Error::from(io::ErrorKind::ArgumentListTooLong);
            return Err(Error::host("send environment and arguments", source));
        }
        let fds: Vec<_> = inside.iter().map(AsFd::as_fd).collect();
        self.control.send(&packet, &fds).await.map_err(|e| {
            let what = format!("its control connection broke: {e}");
            Error::SandboxDied(Arc::new(SandboxFailure::new(what)))
        })
    }

    fn load_message(
        &self,
        pool: PoolId,
        spawners: usize,
        code: &Pool,
        policy: &PoolPolicy,
    ) -> ToRunWorkers {
        use roma_protocol::control::LibraryMount;
        use roma_sandbox::seccomp::FilterLevel;
        let options: &LoadOptions = &code.options;
        let libraries = self
            .config
            .libraries
            .iter()
            .enumerate()
            .map(|(index, mount)| {
                let source = self.config.source_inside(index);
                LibraryMount {
                    source: source.as_os_str().as_bytes().to_vec(),
                    target: mount.target.as_os_str().as_bytes().to_vec(),
                }
            });
        let entries = options
            .env
            .iter()
            .map(|(name, value)| format!("{name}={value}").into_bytes());
        ToRunWorkers::Load(Box::new(Load {
            pool,
            spawners: u16::try_from(spawners).unwrap_or(u16::MAX),
            binary_bytes: code.image.bytes.len() as u64,
            filter: match policy.filter {
                SyscallFilter::None => FilterLevel::None,
                SyscallFilter::Engine => FilterLevel::Engine,
                SyscallFilter::Strict => FilterLevel::Strict,
            },
            private_ipc: policy.private_ipc,
            proc: options.proc,
            tmp_bytes: options.private_tmp,
            worker_limits: worker_limits(&options.limits),
            pool_limits: options.pool_limits.to_protocol(),
            libraries: libraries.collect(),
            environment: entries.collect(),
            arguments: options
                .args
                .iter()
                .map(|arg| arg.clone().into_bytes())
                .collect(),
        }))
    }
}

/// Sends the binary and waits until every spawner is ready.
async fn until_ready(
    code: OwnedFd,
    image: &Arc<Image>,
    spawners: &[Arc<Spawner>],
) -> Result<InForce, Error> {
    // Who stops reading says why on the first spawner's connection.
    let _ = send_code(code, image).await;
    let mut in_force = InForce::default();
    for spawner in spawners {
        match spawner.next().await {
            Ok(Some(FromSpawner::Ready(ready))) => {
                tracing::debug!(?ready, "a spawner is ready");
                in_force = of_spawner(&ready);
            }
            Ok(Some(FromSpawner::SetupFailed(failure))) => return Err(Error::PoolSetup(failure)),
            Ok(other) => return Err(unprepared(format!("a spawner began with {other:?}"))),
            Err(error) => return Err(unprepared(error.to_string())),
        }
    }
    Ok(in_force)
}

fn of_spawner(ready: &Ready) -> InForce {
    InForce {
        own_user_ids: ready.own_user_ids,
        pool_memory: ready.memory_limit,
        pool_processes: ready.processes_limit,
        pool_cpu: ready.cpu_limit,
    }
}

/// The binary, then its digest, which is taken here while the other end takes it too.
async fn send_code(socket: OwnedFd, image: &Arc<Image>) -> io::Result<()> {
    let socket = watched(socket, Interest::WRITABLE)?;
    let bytes = image.bytes.clone();
    let digest = tokio::task::spawn_blocking(move || blake3::hash(&bytes));
    send_all(&socket, &image.bytes).await?;
    let digest = digest.await.map_err(io::Error::other)?;
    send_all(&socket, digest.as_bytes()).await
}

async fn send_all(socket: &AsyncFd<OwnedFd>, mut bytes: &[u8]) -> io::Result<()> {
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    while !bytes.is_empty() {
        let send = |fd: &OwnedFd| Ok(send(fd.as_raw_fd(), bytes, flags)?);
        bytes = &bytes[socket.async_io(Interest::WRITABLE, send).await?..];
    }
    Ok(())
}

fn never_began(fate: Result<Option<StepFailure>, oneshot::error::RecvError>) -> Error {
    match fate {
        Ok(Some(failure)) => Error::PoolSetup(failure),
        Ok(None) => unprepared("the pool ended while it was prepared".into()),
        Err(_) => unprepared("the sandbox ended while the code was prepared".into()),
    }
}

fn unprepared(what: String) -> Error {
    Error::SandboxDied(Arc::new(SandboxFailure::new(what)))
}

/// What somebody is given up for.
pub(crate) fn silent(who: &str, limit: Duration) -> SandboxFailure {
    SandboxFailure::new(format!("{who} has not said a word for {limit:?}"))
}

fn broken(step: StepFailure) -> SandboxFailure {
    SandboxFailure {
        step: Some(step),
        ..SandboxFailure::new(step.to_string())
    }
}

fn worker_limits(limits: &Limits) -> WorkerLimits {
    WorkerLimits {
        cpu_seconds: limits.cpu_time.map(|time| time.as_secs_f64().ceil() as u64),
        address_space: limits.address_space,
        data: limits.data,
        stack: Some(limits.stack),
        open_files: Some(limits.open_files.into()),
        file_size: limits.file_size,
        processes: Some(limits.processes.into()),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| Error::host("run a blocking task", io::Error::other(e)))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
