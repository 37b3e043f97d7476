//! The host's view of one outer sandbox: its process and its control connection.

mod prepare;

use std::collections::HashMap;
use std::io;
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use roma_core::{Error, SandboxFailure};
use roma_io::Seqpacket;
use roma_protocol::PoolId;
use roma_protocol::control::{FromRunWorkers, ToRunWorkers};
use roma_sandbox::step::StepFailure;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use crate::log_capture::LogCapture;
use crate::outer::{Ended, Outer, OuterConfig};
use crate::watchdog::{Due, Watchdog};

pub use prepare::Prepared;

/// How long a sandbox may take to start, and a pool to be prepared.
const START_TIME: Duration = Duration::from_secs(20);
/// How long a sandbox that ended, or was told to, may take to be gone.
const END_TIME: Duration = Duration::from_millis(900);
/// How long to wait for the last output of a sandbox that is gone.
const LAST_OUTPUT_TIME: Duration = Duration::from_millis(300);
/// How often to check whether the program of the sandbox still runs.
const EXIT_CHECK: Duration = Duration::from_millis(100);

/// How a pool in a sandbox ended: with a failure, if it never began.
type PoolEnd = Option<StepFailure>;

/// An outer sandbox.
#[derive(Debug)]
pub struct Sandbox {
    config: OuterConfig,
    control: Seqpacket,
    program: Mutex<Program>,
    next_pool: AtomicU64,
    pool_ends: Mutex<HashMap<PoolId, oneshot::Sender<PoolEnd>>>,
    died: watch::Sender<Option<Error>>,
    /// Each use has a receiver.
    uses: watch::Sender<()>,
}

/// A sandbox that does not end while this lives, unless it dies or its service ends.
#[derive(Debug)]
pub struct InUse {
    sandbox: Arc<Sandbox>,
    _use: watch::Receiver<()>,
}

impl Deref for InUse {
    type Target = Arc<Sandbox>;

    fn deref(&self) -> &Arc<Sandbox> {
        &self.sandbox
    }
}

/// The state of the program of a sandbox.
#[derive(Debug)]
enum Program {
    /// Not started; it will have this as its standard input.
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

    /// Leaves `Ended` in its place.
    fn take(&mut self) -> Self {
        std::mem::replace(self, Self::Ended)
    }
}

impl Sandbox {
    /// Returns a sandbox that is not started yet.
    ///
    /// # Errors
    ///
    /// [`Error::Host`] if there are no descriptors for its control connection.
    pub fn new(config: &OuterConfig) -> Result<Arc<Self>, Error> {
        let (control, inside) =
            Seqpacket::pair().map_err(|e| Error::host("make the control connection", e))?;
        Ok(Arc::new(Self {
            config: config.clone(),
            control,
            program: Mutex::new(Program::ToStart(inside)),
            next_pool: AtomicU64::new(1),
            pool_ends: Mutex::default(),
            died: watch::Sender::new(None),
            uses: watch::Sender::new(()),
        }))
    }

    /// Starts the sandbox and waits until it takes messages.
    ///
    /// # Errors
    ///
    /// [`Error::SandboxStart`] with its output, or [`Error::ShutDown`] if it was ended before.
    pub async fn start(self: &Arc<Self>) -> Result<(), Error> {
        let sandbox = Arc::clone(self);
        blocking(move || sandbox.launch()).await??;
        let failure = match timeout(START_TIME, self.receive_hello()).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(failure)) => failure,
            Err(_) => SandboxFailure::new(format!("it sent no message within {START_TIME:?}")),
        };
        Err(Error::SandboxStart(self.collect_exit_info(failure).await))
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

    async fn receive_hello(&self) -> Result<(), SandboxFailure> {
        match self.receive().await? {
            FromRunWorkers::Hello(hello) => {
                tracing::debug!(?hello, mode = %self.config.mode, "the sandbox is up");
                Ok(())
            }
            FromRunWorkers::Broken(failure) => Err(broken(failure)),
            other => Err(SandboxFailure::new(format!(
                "its first message was {other:?}"
            ))),
        }
    }

    /// Reads messages until the sandbox ends. Returns the cause, which [`Sandbox::cause_of_death`]
    /// returns from then on as well.
    pub async fn watch(self: &Arc<Self>) -> Error {
        let mut watchdog = Watchdog::new(self.config.watchdog);
        let failure = loop {
            let received = tokio::select! {
                biased;
                received = self.receive() => received,
                () = self.program_ended() => Err(SandboxFailure::new("its program was killed")),
                due = watchdog.due() => match due {
                    Due::Ask => {
                        // If there is no room for the question, there is no answer either.
                        let _ = self.control.try_send(&ToRunWorkers::Ping.encode(), &[]);
                        continue;
                    }
                    Due::GiveUp => Err(unanswered("it", self.config.watchdog)),
                },
            };
            watchdog.heard();
            match received {
                Ok(FromRunWorkers::Pong) => {}
                Ok(FromRunWorkers::LoadRefused(pool, failure)) => {
                    self.pool_ended(pool, Some(failure));
                }
                Ok(FromRunWorkers::PoolEnded(pool, _)) => self.pool_ended(pool, None),
                Ok(FromRunWorkers::Broken(failure)) => break broken(failure),
                Ok(FromRunWorkers::Hello(_)) => {
                    break SandboxFailure::new("it sent its first message twice");
                }
                Err(failure) => break failure,
            }
        };
        let error = Error::SandboxDied(self.collect_exit_info(failure).await);
        self.died.send_replace(Some(error.clone()));
        error
    }

    /// Waits until the sandbox has died and returns the cause.
    pub async fn cause_of_death(&self) -> Error {
        let mut died = self.died.subscribe();
        // The sender lives as long as this sandbox.
        let cause = died.wait_for(Option::is_some).await;
        cause
            .ok()
            .and_then(|cause| cause.clone())
            .unwrap_or(Error::Internal("a sandbox died without a cause"))
    }

    /// Returns the id of the process of its program, while that runs.
    pub fn process(&self) -> Option<u32> {
        lock(&self.program).running().map(|outer| outer.id())
    }

    /// Keeps the sandbox from being ended when another one takes its place.
    pub(crate) fn keep(self: &Arc<Self>) -> InUse {
        InUse {
            sandbox: Arc::clone(self),
            _use: self.uses.subscribe(),
        }
    }

    /// Waits until nobody keeps the sandbox.
    pub(crate) async fn unused(&self) {
        self.uses.closed().await;
    }

    /// Ends the sandbox and everything in it. Blocks, for about two seconds at most; also while another
    /// thread ends it, so that nothing is left when this returns.
    pub fn end(&self) {
        let mut program = lock(&self.program);
        self.control.shutdown();
        if let Program::Running(outer) = program.take() {
            outer.end(END_TIME);
        }
    }

    /// Returns how long a process inside may fail to answer.
    pub fn watchdog_limit(&self) -> Duration {
        self.config.watchdog
    }

    /// Ends what is left of the sandbox and adds its exit status and last output to the failure.
    async fn collect_exit_info(
        self: &Arc<Self>,
        mut failure: SandboxFailure,
    ) -> Arc<SandboxFailure> {
        let sandbox = Arc::clone(self);
        if let Ok(Some((ended, mut log))) = blocking(move || sandbox.end_program()).await {
            failure.out_of_memory = ended.out_of_memory;
            failure.exit = ended.exit;
            // The last output may still be on its way.
            let _ = timeout(LAST_OUTPUT_TIME, log.whole()).await;
            failure.log_tail = log.tail().text;
        }
        Arc::new(failure)
    }

    fn end_program(&self) -> Option<(Ended, LogCapture)> {
        let mut program = lock(&self.program);
        self.control.shutdown();
        let Program::Running(outer) = program.take() else {
            return None;
        };
        let log = outer.log();
        Some((outer.end(END_TIME), log))
    }

    /// Waits for the end of the program. The connection alone does not tell: processes that gVisor made
    /// hold it open for a while when gVisor itself is killed.
    async fn program_ended(&self) {
        let runs = || match self.program.try_lock() {
            Ok(mut program) => program
                .running()
                .is_some_and(|outer| outer.exit_status().is_none()),
            // The holder of the lock asks for the process, or ends it: then there is none next time.
            Err(_) => true,
        };
        while runs() {
            tokio::time::sleep(EXIT_CHECK).await;
        }
    }

    async fn receive(&self) -> Result<FromRunWorkers, SandboxFailure> {
        let mut packet = [0; 256];
        match self.control.recv(&mut packet).await {
            Ok(0) => Err(SandboxFailure::new("its program ended")),
            Ok(count) => FromRunWorkers::decode(&packet[..count])
                .map_err(|e| SandboxFailure::new(format!("it sent an invalid message: {e}"))),
            Err(e) => Err(SandboxFailure::new(format!(
                "its control connection broke: {e}"
            ))),
        }
    }

    fn pool_ended(&self, pool: PoolId, failure: PoolEnd) {
        if let Some(end) = lock(&self.pool_ends).remove(&pool) {
            let _ = end.send(failure);
        }
    }
}

/// Returns the failure of a process that the watchdog gave up.
#[must_use]
pub fn unanswered(process: &str, limit: Duration) -> SandboxFailure {
    SandboxFailure::new(format!(
        "{process} did not answer the watchdog for {limit:?}"
    ))
}

fn broken(step: StepFailure) -> SandboxFailure {
    SandboxFailure {
        step: Some(step),
        ..SandboxFailure::new(step.to_string())
    }
}

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| Error::host("run a blocking task", io::Error::other(e)))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
