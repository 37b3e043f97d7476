//! Learning that a worker is ready, and counting each start once.

use std::sync::Arc;
use std::time::Instant;

use roma_protocol::WorkerId;

use crate::options::Readiness;
use crate::pool::{Pool, State};
use crate::worker::Worker;

impl Pool {
    /// Notes which workers are ready as soon as they say so, again and again. Requests do not depend on it.
    pub(crate) async fn follow_readiness(self: Arc<Self>) {
        loop {
            match self.arrivals.next().await {
                Ok(workers) => self.spoke(workers.into_iter().map(WorkerId)),
                Err(error) => {
                    tracing::warn!(code = %self.token, %error, "cannot see which workers are ready");
                    return;
                }
            }
        }
    }

    fn spoke(&self, workers: impl Iterator<Item = WorkerId>) {
        let mut state = self.lock();
        for id in workers {
            self.probe(&mut state, id);
        }
    }

    /// Notes which workers are ready that no request has. Whoever reads the byte of a worker has to say so:
    /// it is not reported again.
    pub(crate) fn look(&self, state: &mut State) {
        if self.by_byte() {
            for id in state.workers.refresh(Worker::probe) {
                self.probe(state, id);
            }
        }
    }

    /// Notes that a worker is ready, if it has said so and no request has it.
    pub(crate) fn probe(&self, state: &mut State, id: WorkerId) {
        if self.by_byte()
            && let Some(worker) = state.workers.probe_idle(id, Worker::probe)
            && let Some(since) = worker.first_seen_ready()
        {
            self.note_start(state, id, since);
        }
    }

    /// Returns whether workers say by a byte that they are ready.
    pub(crate) fn by_byte(&self) -> bool {
        self.options.readiness == Readiness::Byte
    }

    /// Records the start of a worker which was asked for at `since`. To be called once for each worker, which
    /// may have ended since.
    pub(crate) fn note_start(&self, state: &mut State, id: WorkerId, since: Instant) {
        state.typical_start = since.elapsed();
        self.metrics.start_time.record(state.typical_start);
        state.workers.note_started(id);
        self.stop_diagnosing(state, id);
    }
}
