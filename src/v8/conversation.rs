//! What is said to a worker, and what it says, from a request to its answer.

use std::fmt;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use roma_core::{Caller, Error, HostFunctions, ResponseError};
use roma_pool::{Lease, WorkerEnd};
use roma_v8_protocol::from_worker::Body as Said;
use roma_v8_protocol::to_worker::Body as Told;
use roma_v8_protocol::{Answer, Call, Cause, Ended, HostCall, Kind, Load, Loaded};
use tokio::time::timeout;

use crate::failure::ScriptError;
use crate::frames::{Broken, Frames};
use crate::host::{HostValue, Line, Severity};

/// How long a worker may take beyond a deadline to end the code by itself.
const DEADLINE_GRACE: Duration = Duration::from_millis(250);
/// How long a worker whose connection has ended may take to end.
const END_TIME: Duration = Duration::from_secs(1);

type LineHandler = Arc<dyn Fn(Line) + Send + Sync>;

/// What happens to what scripts call and print.
#[derive(Clone)]
pub(crate) struct Listeners {
    pub(crate) functions: Arc<HostFunctions>,
    pub(crate) lines: Option<LineHandler>,
    /// The largest message of a worker.
    pub(crate) most_bytes: usize,
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listeners")
            .field("functions", &self.functions)
            .finish_non_exhaustive()
    }
}

/// What a worker reported. If there is an error instead, the worker cannot be used any more.
pub(crate) type Reported<T> = Result<Result<T, Error>, Error>;

/// Loads code into a worker.
pub(crate) async fn load(
    lease: &mut Lease,
    load: &Load,
    limit: Duration,
    listeners: &Listeners,
) -> Reported<()> {
    let heard = within(limit, async {
        let mut frames = frames(lease, listeners)?;
        frames.send(Told::Load(load.clone())).await?;
        until_loaded(&mut frames).await
    });
    let heard = heard.await;
    let Loaded { cause, text } = explained(heard, lease, limit).await?;
    judged(cause, text, limit)
}

/// Calls a handler in a worker, which is given the code if it does not have it.
pub(crate) async fn call(
    lease: &mut Lease,
    load: &Load,
    call: Call,
    limit: Duration,
    listeners: &Listeners,
    caller: &Caller,
) -> Reported<Bytes> {
    let heard = within(limit, async {
        let mut frames = frames(lease, listeners)?;
        frames.send(Told::Call(call.clone())).await?;
        let ended = until_ended(&mut frames, listeners, caller).await?;
        if ended.cause() != Cause::NotLoaded {
            return Ok(ended);
        }
        frames.send(Told::Load(load.clone())).await?;
        let Loaded { cause, text } = until_loaded(&mut frames).await?;
        if cause != i32::from(Cause::None) {
            return Ok(Ended {
                cause,
                text,
                ..Ended::default()
            });
        }
        frames.send(Told::Call(call)).await?;
        until_ended(&mut frames, listeners, caller).await
    });
    let heard = heard.await;
    let ended = explained(heard, lease, limit).await?;
    let answer = judged(ended.cause, ended.text, limit)?;
    Ok(answer.map(|()| ended.bytes.into()))
}

fn frames<'a>(lease: &'a Lease, listeners: &Listeners) -> Result<Frames<'a>, Broken> {
    let data = lease.worker().data.as_fd();
    Frames::new(data, listeners.most_bytes).map_err(Broken::Io)
}

/// Waits a moment longer than a limit. `None` is for a worker that did not even end the code.
async fn within<T>(limit: Duration, what: impl Future<Output = T>) -> Option<T> {
    timeout(limit.saturating_add(DEADLINE_GRACE), what)
        .await
        .ok()
}

async fn until_loaded(frames: &mut Frames<'_>) -> Result<Loaded, Broken> {
    match frames.receive().await? {
        Said::Loaded(loaded) => Ok(loaded),
        Said::Ended(_) | Said::HostCall(_) | Said::Line(_) => Err(Broken::Invalid),
    }
}

async fn until_ended(
    frames: &mut Frames<'_>,
    listeners: &Listeners,
    caller: &Caller,
) -> Result<Ended, Broken> {
    let mut calls = 0;
    loop {
        match frames.receive().await? {
            Said::Ended(ended) => return Ok(ended),
            Said::Loaded(_) => return Err(Broken::Invalid),
            Said::Line(line) => {
                if let Some(handler) = &listeners.lines {
                    handler(Line {
                        severity: Severity::of_number(line.severity),
                        text: line.text,
                        metadata: caller.metadata.clone(),
                    });
                }
            }
            Said::HostCall(call) => {
                calls += 1;
                let answer = match calls > listeners.functions.limits.max_calls {
                    true => refused("ROMA: too many calls of host functions"),
                    false => answer(call, listeners, caller).await,
                };
                frames.send(Told::Answer(answer)).await?;
            }
        }
    }
}

async fn answer(call: HostCall, listeners: &Listeners, caller: &Caller) -> Answer {
    let payload = HostValue::join(call.kind(), &call.bytes);
    match listeners.functions.call(&call.name, payload, caller).await {
        Ok(result) => {
            let (kind, bytes) = HostValue::split(result);
            Answer {
                ok: true,
                kind: kind.into(),
                bytes: bytes.into(),
            }
        }
        Err(error) => refused(&format!("ROMA: {}: {error}", call.name)),
    }
}

fn refused(text: &str) -> Answer {
    Answer {
        ok: false,
        kind: Kind::Text.into(),
        bytes: text.as_bytes().to_vec(),
    }
}

/// Returns what a worker reported: that all went well, or the error.
fn judged(cause: i32, text: String, limit: Duration) -> Reported<()> {
    let Ok(cause) = Cause::try_from(cause) else {
        return Err(Error::Response(ResponseError::Malformed));
    };
    Ok(match ScriptError::of(cause, text) {
        Some(error) => Err(error),
        None if cause == Cause::Deadline => Err(Error::Deadline { limit }),
        None => Ok(()),
    })
}

/// Returns what was heard, or why nothing was.
async fn explained<T>(
    heard: Option<Result<T, Broken>>,
    lease: &mut Lease,
    limit: Duration,
) -> Result<T, Error> {
    match heard {
        Some(Ok(heard)) => Ok(heard),
        None => Err(Error::Deadline { limit }),
        Some(Err(Broken::Invalid)) => Err(Error::Response(ResponseError::Malformed)),
        Some(Err(Broken::Io(error))) => Err(Error::host("talk to a worker", error)),
        Some(Err(Broken::Closed)) => Err(match lease.end(END_TIME).await? {
            (WorkerEnd::Exited(exit), _) => Error::Died {
                exit,
                log_tail: lease.worker_mut().log.whole().await.text,
            },
            (WorkerEnd::NotStarted(failure), _) => Error::WorkerStart(failure),
            (WorkerEnd::Lost(error), _) => error,
        }),
    }
}
