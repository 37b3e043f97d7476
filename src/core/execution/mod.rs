//! One execution: its options, its handle and its report.

mod cancel;
mod options;
mod report;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::error::Error;
use crate::future::BoxFuture;
use crate::token::ExecutionId;

pub use cancel::Canceller;
pub use options::ExecuteOptions;
pub use report::{LogTail, Outcome, Report, Times};

/// What an engine hands to [`Execution::new`] when there is a response, or none will come.
pub struct Finished {
    /// The response.
    pub result: Result<Bytes, Error>,
    /// How long the stages took.
    pub times: Times,
    /// Resolves when the process of the execution is gone.
    pub report: BoxFuture<'static, Report>,
}

type Running = BoxFuture<'static, Finished>;
type Decode<T> = fn(Bytes) -> Result<T, Error>;

/// A request in flight. Await it for the response. It makes progress only while it is awaited; when it
/// is dropped, its process is ended and replaced.
///
/// ```no_run
/// # async fn example(engine: &dyn roma_core::Engine, code: roma_core::CodeToken) -> Result<(), roma_core::Error> {
/// let mut execution = engine.execute(&code, "request".into(), Default::default());
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
    Over {
        times: Times,
        report: BoxFuture<'static, Report>,
    },
}

impl Execution<Bytes> {
    /// Returns an execution that does what `run` makes of its canceller.
    pub fn new<F>(run: impl FnOnce(Canceller) -> F) -> Self
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

    /// Returns the same execution with a response of another type.
    pub fn decoded<T>(self, decode: fn(Bytes) -> Result<T, Error>) -> Execution<T> {
        Execution {
            canceller: self.canceller,
            state: self.state,
            decode,
        }
    }
}

impl<T> Execution<T> {
    /// Returns a name for logs.
    #[must_use]
    pub fn id(&self) -> ExecutionId {
        self.canceller.id()
    }

    /// Returns a handle that cancels this execution from elsewhere.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }

    /// Ends the execution, and its process at once.
    pub fn cancel(&self) {
        self.canceller.cancel();
    }

    /// Returns how long the stages took, once the response is there. Unlike [`Execution::report`], does
    /// not wait for the end of the process.
    #[must_use]
    pub fn times(&self) -> Option<Times> {
        match &self.state {
            State::Running(_) => None,
            State::Over { times, .. } => Some(*times),
        }
    }

    /// Waits for the response, if it is not there yet, and then for the end of the process.
    pub async fn report(self) -> Report {
        match self.state {
            State::Running(running) => running.await.report.await,
            State::Over { report, .. } => report.await,
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
        // The response was returned before and does not come again.
        let State::Running(running) = &mut self.state else {
            return Poll::Pending;
        };
        match running.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(finished) => {
                self.state = State::Over {
                    times: finished.times,
                    report: finished.report,
                };
                Poll::Ready(finished.result.and_then(self.decode))
            }
        }
    }
}

impl<T> fmt::Debug for Execution<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let over = matches!(self.state, State::Over { .. });
        f.debug_struct("Execution")
            .field("id", &self.id())
            .field("over", &over)
            .finish()
    }
}
