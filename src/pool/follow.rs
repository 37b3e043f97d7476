//! Following the messages of a spawner.

use std::sync::Arc;
use std::time::{Duration, Instant};

use roma_protocol::WorkerId;
use roma_protocol::spawner::{Exited, FromSpawner, ToSpawner};
use roma_sandbox::launch::StartTimes;
use roma_sandbox::step::StepFailure;
use roma_supervise::{Due, Watchdog};

use crate::pool::Pool;
use crate::spawner::Spawner;
use crate::state::Stage;
use crate::worker::{self, WorkerEnd};

/// Why there are no more messages from a spawner.
#[derive(Debug)]
pub(crate) enum Gone {
    Failed(StepFailure),
    Ended,
    Unanswered,
}

impl Pool {
    /// Reads the messages of one spawner until it is gone, or does not answer for `limit`.
    pub(crate) async fn follow(self: &Arc<Self>, spawner: &Spawner, limit: Duration) -> Gone {
        let mut watchdog = Watchdog::new(limit);
        loop {
            let next = tokio::select! {
                biased;
                next = spawner.next() => next,
                due = watchdog.due() => match due {
                    Due::Ask => {
                        spawner.send(ToSpawner::Ping, Vec::new());
                        continue;
                    }
                    Due::GiveUp => return Gone::Unanswered,
                },
            };
            watchdog.heard();
            match next {
                Ok(Some(FromSpawner::Ready(_) | FromSpawner::Pong)) => {}
                Ok(Some(FromSpawner::SetupFailed(failure))) => return Gone::Failed(failure),
                Ok(Some(FromSpawner::Started(id, times))) => self.started(id, &times),
                Ok(Some(FromSpawner::Failed(id, failure))) => {
                    self.ended(id, WorkerEnd::NotStarted(failure));
                }
                Ok(Some(FromSpawner::Exited(exited))) => self.exited(&exited),
                Ok(None) => return Gone::Ended,
                Err(error) => {
                    tracing::warn!(code = %self.token, %error, "a spawner sent an invalid message");
                    return Gone::Ended;
                }
            }
        }
    }

    fn started(self: &Arc<Self>, id: WorkerId, times: &StartTimes) {
        let nanos: u32 = worker::start_steps(times).iter().sum();
        let since = Instant::now() - Duration::from_nanos(nanos.into());
        let mut state = self.lock();
        state.workers.ready(id);
        self.note_start(&mut state, id, since);
        self.pump(&mut state);
    }

    fn exited(self: &Arc<Self>, exited: &Exited) {
        self.metrics.exited(exited);
        self.ended(exited.worker, WorkerEnd::Exited(worker::exit_of(exited)));
    }

    fn ended(self: &Arc<Self>, id: WorkerId, end: WorkerEnd) {
        let mut state = self.lock();
        // It may have been ready for a moment.
        self.probe(&mut state, id);
        let Some(ended) = state.workers.ended(id) else {
            return;
        };
        // The end of a worker that has a request is reported by the request.
        if matches!(ended.stage, Stage::Starting | Stage::Ready) {
            let late = ended.idle.is_some_and(|worker| {
                !worker.ready && self.start_deadline(worker.since) <= Instant::now()
            });
            let cause = self.start_error(&end, late, ended.payload.log_tail());
            self.note_start_failure(&mut state, cause);
        }
        ended.payload.report(end);
        self.pump(&mut state);
    }
}
