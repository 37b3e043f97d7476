//! One request: its options, its handle and its report.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;

use crate::error::Error;
use crate::exit::Exit;
use crate::host_functions::Metadata;
use crate::log_capture::LogTail;
use crate::run::{Aftermath, Finished};
use crate::token::ExecutionId;

/// How a request is to be executed. Start from `ExecuteOptions::default()`.
#[derive(Debug, Clone)]
pub struct ExecuteOptions {
    /// How long the request may wait for a ready worker. With zero it must be there already.
    pub queue_timeout: Duration,
    /// How long the UDF may take from the first byte of the request to the last of the response.
    pub deadline: Duration,
    /// What host functions get to know about the request. The UDF never does.
    pub metadata: Metadata,
}

impl Default for ExecuteOptions {
    fn default() -> Self {
        Self {
            queue_timeout: Duration::from_secs(1),
            deadline: Duration::from_secs(10),
            metadata: Metadata::default(),
        }
    }
}

/// How long the stages of an execution took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    /// Until a worker was ready for it.
    pub queue: Duration,
    /// From there until the whole request was sent.
    pub send: Duration,
    /// From there until the whole response was there.
    pub run: Duration,
}

impl Times {
    /// All of it.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.queue + self.send + self.run
    }
}

/// What is known of an execution when its process is gone.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Report {
    /// Which execution.
    pub id: ExecutionId,
    /// The process's `argv[0]`, to find it in traces of the sandbox. `None` if it never got one.
    pub worker: Option<String>,
    /// How the process ended and what it used. `None` if there was none, or it was lost.
    pub exit: Option<Exit>,
    /// How long each stage took; zero for those that were not reached.
    pub times: Times,
    /// The size of the request.
    pub request_bytes: usize,
    /// The size of the response; 0 without one.
    pub response_bytes: usize,
    /// What the process printed, if the code was loaded with logs.
    pub logs: Option<LogTail>,
}

/// The result of an execution and its report.
#[derive(Debug)]
pub struct Outcome<T = Bytes> {
    /// The response.
    pub result: Result<T, Error>,
    /// What it took.
    pub report: Report,
}

/// Cancels an execution from anywhere. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Canceller {
    id: ExecutionId,
    state: Arc<CancelState>,
}

#[derive(Debug, Default)]
struct CancelState {
    asked: AtomicBool,
    wake: Notify,
}

impl Canceller {
    fn new(id: ExecutionId) -> Self {
        Self {
            id,
            state: Arc::default(),
        }
    }

    /// The execution's id.
    #[must_use]
    pub fn id(&self) -> ExecutionId {
        self.id
    }

    /// Ends the execution with [`Error::Cancelled`], and its process at once. An execution that is
    /// over stays as it is.
    pub fn cancel(&self) {
        self.state.asked.store(true, Ordering::Release);
        self.state.wake.notify_waiters();
    }

    /// Waits until it is called.
    pub(crate) async fn cancelled(&self) {
        loop {
            let woken = self.state.wake.notified();
            if self.state.asked.load(Ordering::Acquire) {
                return;
            }
            woken.await;
        }
    }
}

type Running = Pin<Box<dyn Future<Output = Finished> + Send>>;
type Decode<T> = fn(Bytes) -> Result<T, Error>;

/// A request under way. Await it for the response; it makes progress only while someone does, and
/// dropped it ends its process, whose place another takes.
///
/// ```no_run
/// # async fn example(service: roma_byob::Service, code: roma_byob::CodeToken) -> Result<(), roma_byob::Error> {
/// let mut execution = service.execute(&code, "request", Default::default());
/// let response = (&mut execution).await?;
/// let report = execution.report().await;
/// println!("{} bytes, {:?}", response.len(), report.exit);
/// # Ok(())
/// # }
/// ```
#[must_use = "an execution makes progress only while it is awaited"]
pub struct Execution<T = Bytes> {
    canceller: Canceller,
    state: State,
    decode: Decode<T>,
}

enum State {
    Running(Running),
    Over(Box<Aftermath>),
}

impl Execution<Bytes> {
    /// `run` turns the canceller into the future that does the work.
    pub(crate) fn new<F>(run: impl FnOnce(Canceller) -> F) -> Self
    where
        F: Future<Output = Finished> + Send + 'static,
    {
        let canceller = Canceller::new(ExecutionId::next());
        let running = Box::pin(run(canceller.clone()));
        Self {
            canceller,
            state: State::Running(running),
            decode: Ok,
        }
    }

    /// The same execution, with a response of another type.
    pub(crate) fn decoded<T>(self, decode: Decode<T>) -> Execution<T> {
        Execution {
            canceller: self.canceller,
            state: self.state,
            decode,
        }
    }
}

impl<T> Execution<T> {
    /// A name for logs.
    #[must_use]
    pub fn id(&self) -> ExecutionId {
        self.canceller.id
    }

    /// Cancels from elsewhere, while this is awaited.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }

    /// Ends the execution, and its process at once.
    pub fn cancel(&self) {
        self.canceller.cancel();
    }

    /// How long its stages took, once the response came. [`Execution::report`] tells too, but only
    /// when the process is gone.
    #[must_use]
    pub fn times(&self) -> Option<Times> {
        match &self.state {
            State::Running(_) => None,
            State::Over(aftermath) => Some(aftermath.report.times),
        }
    }

    /// Waits for the response, if that has not come yet, then for the end of the process.
    pub async fn report(self) -> Report {
        match self.state {
            State::Running(running) => running.await.aftermath.report().await,
            State::Over(aftermath) => aftermath.report().await,
        }
    }

    /// Waits for both the response and the end of the process.
    pub async fn outcome(mut self) -> Outcome<T> {
        let result = (&mut self).await;
        Outcome {
            result,
            report: self.report().await,
        }
    }
}

impl<T> Future for Execution<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // Whoever polls again after the end waits for something that came already.
        let State::Running(running) = &mut self.state else {
            return Poll::Pending;
        };
        match running.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(finished) => {
                self.state = State::Over(Box::new(finished.aftermath));
                Poll::Ready(finished.result.and_then(self.decode))
            }
        }
    }
}

impl<T> fmt::Debug for Execution<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let over = matches!(self.state, State::Over(_));
        f.debug_struct("Execution")
            .field("id", &self.id())
            .field("over", &over)
            .finish()
    }
}
