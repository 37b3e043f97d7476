//! The state of one pool: its workers, its queue and its back-off. Without locks, clocks or descriptors.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use roma_core::{Counts, Error};
use roma_protocol::WorkerId;
use roma_supervise::Backoff;

use crate::queue::Queue;
use crate::shortage::Shortage;

/// How many of the longest-waiting workers are probed for readiness before one is taken.
const MOST_PROBES: usize = 16;

/// The sizes of a pool.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// Workers that wait for a request.
    pub(crate) target: usize,
    /// Workers that live.
    pub(crate) max_live: usize,
    /// Requests that wait for a worker.
    pub(crate) max_waiting: usize,
}

/// What a worker is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Not known to be ready.
    Starting,
    /// Waits for a request.
    Ready,
    /// Has a request.
    Busy,
    /// Has answered, or was killed; its end is not reported yet.
    Ending,
}

#[derive(Debug)]
struct Entry<L> {
    stage: Stage,
    /// When it is to be killed.
    due: Option<Instant>,
    /// Since when it is known to be ready.
    ready_since: Option<Instant>,
    /// Its start is over.
    is_started: bool,
    payload: L,
}

/// What the state knew of a worker that ended.
#[derive(Debug)]
pub(crate) struct Ended<I, L> {
    pub(crate) stage: Stage,
    /// The worker itself, if no request had it.
    pub(crate) idle: Option<I>,
    pub(crate) payload: L,
}

/// The state of a pool. `I` is a worker as a request gets it, `L` what is kept of it until its end, and
/// `Q` a request that waits.
#[derive(Debug)]
pub(crate) struct PoolState<I, L, Q> {
    sizes: Sizes,
    idle: VecDeque<(WorkerId, I)>,
    live: HashMap<WorkerId, Entry<L>>,
    queue: Queue<Q>,
    backoff: Backoff,
    shortage: Shortage,
    /// A worker was seen ready. Until then workers are started one at a time, and the first one is not
    /// replaced while the load that waits for it has it.
    proven: bool,
}

impl<I, L, Q> PoolState<I, L, Q> {
    pub(crate) fn new(sizes: Sizes) -> Self {
        Self {
            sizes,
            idle: VecDeque::new(),
            live: HashMap::new(),
            queue: Queue::new(sizes.max_waiting),
            backoff: Backoff::default(),
            shortage: Shortage::default(),
            proven: false,
        }
    }

    /// Returns how many workers to start now.
    pub(crate) fn wanted(&self, now: Instant) -> usize {
        if !self.backoff.may_try(now) {
            return 0;
        }
        let most = self.sizes.max_live.min(self.shortage.most(now));
        let room = most.saturating_sub(self.live.len());
        let wanted = self.sizes.target.saturating_add(self.queue.len());
        let missing = wanted.saturating_sub(self.idle.len());
        if self.is_trusted() {
            return missing.min(room);
        }
        let tries = |entry: &Entry<L>| match entry.stage {
            Stage::Starting => true,
            Stage::Ready | Stage::Busy => !self.proven,
            Stage::Ending => false,
        };
        let trying = self.live.values().any(tries);
        missing.min(room).min(usize::from(!trying))
    }

    /// Returns whether fewer than half of the workers that should wait do wait or are being started.
    pub(crate) fn is_low(&self) -> bool {
        2 * self.idle.len() < self.sizes.target
    }

    /// Returns whether the last starts went well, so that many workers may be started at once.
    pub(crate) fn is_trusted(&self) -> bool {
        self.proven && !self.backoff.is_unhealthy()
    }

    /// Adds a worker that is being started and must be ready by `due`.
    pub(crate) fn add(&mut self, id: WorkerId, idle: I, payload: L, due: Instant) {
        self.live.insert(
            id,
            Entry {
                stage: Stage::Starting,
                due: Some(due),
                ready_since: None,
                is_started: false,
                payload,
            },
        );
        self.idle.push_back((id, idle));
    }

    /// Takes a worker for a request: the longest-waiting one that `is_ready`, or, with `or_starting`, the
    /// longest-waiting one of all.
    pub(crate) fn take(
        &mut self,
        is_ready: impl Fn(&mut I) -> bool,
        or_starting: bool,
    ) -> Option<(WorkerId, I)> {
        let probes = self.idle.len().min(MOST_PROBES);
        let ready = (0..probes).find(|&at| self.probe(at, &is_ready));
        let at = ready.or((or_starting && !self.idle.is_empty()).then_some(0))?;
        let (id, idle) = self.idle.remove(at)?;
        if let Some(entry) = self.live.get_mut(&id) {
            entry.stage = Stage::Busy;
            entry.due = None;
        }
        Some((id, idle))
    }

    /// Notes whether a waiting worker is ready by now, and returns it if it is.
    pub(crate) fn probe_idle(
        &mut self,
        id: WorkerId,
        is_ready: impl Fn(&mut I) -> bool,
    ) -> Option<&mut I> {
        // The newest are at the end, and the newest become ready.
        let at = self.idle.iter().rposition(|(idle, _)| *idle == id)?;
        self.probe(at, is_ready).then(|| &mut self.idle[at].1)
    }

    /// Notes that the start of a worker is over.
    pub(crate) fn note_started(&mut self, id: WorkerId) {
        if let Some(entry) = self.live.get_mut(&id) {
            entry.is_started = true;
        }
        let started = || self.live.values().filter(|entry| entry.is_started).count();
        self.shortage.started(started);
    }

    fn probe(&mut self, at: usize, is_ready: impl Fn(&mut I) -> bool) -> bool {
        let Some((id, idle)) = self.idle.get_mut(at) else {
            return false;
        };
        let Some(entry) = self.live.get_mut(id) else {
            return false;
        };
        if entry.stage == Stage::Starting && is_ready(idle) {
            entry.stage = Stage::Ready;
            entry.due = None;
        }
        entry.stage == Stage::Ready
    }

    /// Notes which waiting workers are ready by now. Returns those of which it was not known.
    pub(crate) fn refresh(&mut self, is_ready: impl Fn(&mut I) -> bool) -> Vec<WorkerId> {
        let mut new = Vec::new();
        for at in 0..self.idle.len() {
            let id = self.idle[at].0;
            let is_starting = |entry: &Entry<L>| entry.stage == Stage::Starting;
            if self.live.get(&id).is_some_and(is_starting) && self.probe(at, &is_ready) {
                new.push(id);
            }
        }
        new
    }

    /// Notes that a worker reported that it is ready.
    pub(crate) fn ready(&mut self, id: WorkerId) {
        if let Some(entry) = self.live.get_mut(&id)
            && entry.stage == Stage::Starting
        {
            entry.stage = Stage::Ready;
            entry.due = None;
        }
    }

    /// Notes that a worker started well.
    pub(crate) fn succeeded(&mut self) {
        self.proven = true;
        self.backoff.success();
    }

    /// Ends a crash loop once a worker has been ready for a while. Being ready is not enough: some die right
    /// afterwards.
    pub(crate) fn settle(&mut self, now: Instant) {
        let mut is_over = false;
        for entry in self.live.values_mut() {
            if entry.stage == Stage::Ready {
                let since = *entry.ready_since.get_or_insert(now);
                is_over |= self.backoff.is_over(since, now);
            }
        }
        if is_over {
            self.backoff.success();
        }
    }

    /// Takes back a worker for the next request.
    pub(crate) fn put_back(&mut self, id: WorkerId, idle: I, ready: bool, due: Instant) {
        if let Some(entry) = self.live.get_mut(&id) {
            entry.stage = if ready { Stage::Ready } else { Stage::Starting };
            entry.due = (!ready).then_some(due);
            self.idle.push_front((id, idle));
        }
    }

    /// Takes away the workers that wait for a request and for which `is_leaving` returns true. They are to be
    /// killed.
    pub(crate) fn retire(&mut self, is_leaving: impl Fn(&L) -> bool) -> Vec<WorkerId> {
        let leaves = |id: &WorkerId| self.live.get(id).is_some_and(|e| is_leaving(&e.payload));
        let waiting = self.idle.iter().map(|(id, _)| *id);
        let leaving: Vec<_> = waiting.filter(leaves).collect();
        self.idle.retain(|(id, _)| !leaving.contains(id));
        for id in &leaving {
            self.ending(*id, None);
        }
        leaving
    }

    /// Returns whether any worker lives for which `is_one` returns true.
    pub(crate) fn has(&self, is_one: impl Fn(&L) -> bool) -> bool {
        self.live.values().any(|entry| is_one(&entry.payload))
    }

    /// Notes that the request of a worker is over, which must be gone by `due`. Returns whether it still
    /// lived.
    pub(crate) fn ending(&mut self, id: WorkerId, due: Option<Instant>) -> bool {
        match self.live.get_mut(&id) {
            Some(entry) => {
                entry.stage = Stage::Ending;
                entry.due = due;
                true
            }
            None => false,
        }
    }

    /// Removes a worker that is gone.
    pub(crate) fn ended(&mut self, id: WorkerId) -> Option<Ended<I, L>> {
        let entry = self.live.remove(&id)?;
        let at = self.idle.iter().position(|(idle, _)| *idle == id);
        let idle = at.and_then(|at| self.idle.remove(at)).map(|(_, idle)| idle);
        Some(Ended {
            stage: entry.stage,
            idle,
            payload: entry.payload,
        })
    }

    /// Notes that a worker could not be started, or ended before it had a request.
    pub(crate) fn start_failed(&mut self, now: Instant, cause: Error) {
        self.backoff.failure(now, cause);
    }

    /// Notes that the machine has no room for another worker.
    pub(crate) fn refused(&mut self, now: Instant, cause: Error) {
        self.shortage.refused(self.live.len(), now, cause);
    }

    /// Removes all workers for which `is_gone` returns true.
    pub(crate) fn drain(&mut self, is_gone: impl Fn(&L) -> bool) -> Vec<L> {
        let gone = self.live.extract_if(|_, entry| is_gone(&entry.payload));
        let gone = gone.map(|(_, entry)| entry.payload).collect();
        self.idle.retain(|(id, _)| self.live.contains_key(id));
        gone
    }

    /// Returns the workers whose time is over, each of them once. A worker that no request has wanted yet
    /// may have been ready for long, so it is probed first.
    pub(crate) fn overdue(
        &mut self,
        now: Instant,
        is_ready: impl Fn(&mut I) -> bool,
    ) -> Vec<WorkerId> {
        for at in 0..self.idle.len() {
            if self.is_due(self.idle[at].0, now) {
                self.probe(at, &is_ready);
            }
        }
        let mut overdue = Vec::new();
        for (id, entry) in &mut self.live {
            if entry.due.is_some_and(|due| due <= now) {
                entry.due = None;
                overdue.push(*id);
            }
        }
        overdue
    }

    fn is_due(&self, id: WorkerId, now: Instant) -> bool {
        let due = self.live.get(&id).and_then(|entry| entry.due);
        due.is_some_and(|due| due <= now)
    }

    /// Returns the requests that wait for a worker.
    pub(crate) fn queue(&mut self) -> &mut Queue<Q> {
        &mut self.queue
    }

    pub(crate) fn payload(&self, id: WorkerId) -> Option<&L> {
        self.live.get(&id).map(|entry| &entry.payload)
    }

    pub(crate) fn backoff(&self) -> &Backoff {
        &self.backoff
    }

    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts {
            waiting: self.queue.len(),
            ..Counts::default()
        };
        for entry in self.live.values() {
            match entry.stage {
                Stage::Starting => counts.starting += 1,
                Stage::Ready => counts.ready += 1,
                Stage::Busy => counts.busy += 1,
                Stage::Ending => counts.ending += 1,
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    type TestState = PoolState<&'static str, (), u32>;

    fn state(target: usize, max_live: usize) -> (TestState, Instant) {
        let mut state = PoolState::new(Sizes {
            target,
            max_live,
            max_waiting: 2,
        });
        state.proven = true;
        (state, Instant::now())
    }

    fn start(state: &mut TestState, now: Instant, count: u64) {
        for id in 0..count {
            state.add(WorkerId(id), "worker", (), now + Duration::from_secs(1));
        }
    }

    #[test]
    fn a_taken_worker_is_replaced_up_to_the_ceiling() {
        let (mut state, now) = state(2, 3);
        assert_eq!(state.wanted(now), 2);
        start(&mut state, now, 2);
        assert_eq!(state.wanted(now), 0);
        state.take(|_| true, false).unwrap();
        assert_eq!(state.wanted(now), 1);
        state.add(WorkerId(9), "worker", (), now);
        state.take(|_| true, false).unwrap();
        assert_eq!(state.wanted(now), 0, "three live");
        state.ended(WorkerId(0)).unwrap();
        assert_eq!(state.wanted(now), 1);
    }

    #[test]
    fn waiting_workers_are_retired_and_busy_ones_stay() {
        let (mut state, now) = state(2, 9);
        start(&mut state, now, 3);
        let (busy, _) = state.take(|_| true, false).unwrap();
        assert_eq!(state.retire(|()| true), [WorkerId(1), WorkerId(2)]);
        assert!(state.take(|_| true, true).is_none());
        assert_eq!((state.counts().busy, state.counts().ending), (1, 2));
        assert_eq!(state.wanted(now), 2, "others take their places");
        state.ended(WorkerId(1)).unwrap();
        state.ended(WorkerId(2)).unwrap();
        assert!(state.has(|()| true));
        state.ended(busy).unwrap();
        assert!(!state.has(|()| true));
    }

    #[test]
    fn a_pool_is_low_when_fewer_than_half_of_its_workers_wait() {
        let (mut state, now) = state(4, 9);
        assert!(state.is_low());
        start(&mut state, now, 4);
        state.take(|_| true, false).unwrap();
        state.take(|_| true, false).unwrap();
        assert!(!state.is_low());
        state.take(|_| true, false).unwrap();
        assert!(state.is_low());
    }

    #[test]
    fn waiting_requests_need_workers_too() {
        let (mut state, now) = state(1, 9);
        state.queue().push(1, |_| false).unwrap();
        assert_eq!(state.wanted(now), 2);
    }

    #[test]
    fn workers_are_started_one_at_a_time_until_one_was_ready() {
        let (mut state, now) = state(5, 9);
        state.proven = false;
        assert_eq!(state.wanted(now), 1);
        start(&mut state, now, 1);
        assert_eq!(state.wanted(now), 0);
        state.ready(WorkerId(0));
        state.succeeded();
        assert_eq!(state.wanted(now), 4);
    }

    #[test]
    fn the_first_worker_is_not_replaced_while_the_load_has_it() {
        let (mut state, now) = state(2, 9);
        state.proven = false;
        start(&mut state, now, 1);
        let (id, worker) = state.take(|_| true, true).unwrap();
        assert_eq!(state.wanted(now), 0);
        state.put_back(id, worker, true, now);
        state.succeeded();
        assert_eq!(state.wanted(now), 1);
    }

    #[test]
    fn a_ready_worker_that_was_never_taken_is_not_overdue() {
        let (mut state, now) = state(2, 2);
        start(&mut state, now, 2);
        let later = now + Duration::from_secs(2);
        assert!(state.overdue(later, |_| true).is_empty());
        assert!(state.overdue(later, |_| false).is_empty(), "it was ready");
        assert_eq!(state.counts().ready, 2);
    }

    #[test]
    fn ready_workers_are_taken_before_starting_ones() {
        let (mut state, now) = state(3, 3);
        state.add(WorkerId(1), "slow", (), now);
        state.add(WorkerId(2), "quick", (), now);
        assert_eq!(state.take(|w| *w == "quick", true).unwrap().1, "quick");
        assert!(state.take(|_| false, false).is_none());
        assert_eq!(state.take(|_| false, true).unwrap().1, "slow");
    }

    #[test]
    fn an_overdue_worker_is_returned_once() {
        let (mut state, now) = state(2, 2);
        start(&mut state, now, 2);
        let later = now + Duration::from_secs(2);
        assert!(state.overdue(now, |_| false).is_empty());
        state.take(|_| true, false).unwrap();
        assert_eq!(state.overdue(later, |_| false), [WorkerId(1)]);
        assert!(state.overdue(later, |_| false).is_empty());
        assert!(state.ending(WorkerId(0), Some(now)));
        assert_eq!(state.overdue(later, |_| false), [WorkerId(0)]);
    }

    #[test]
    fn a_crash_loop_pauses_and_recovers() {
        let (mut state, now) = state(4, 4);
        for id in 0..3 {
            state.add(WorkerId(id), "worker", (), now);
            assert_eq!(state.ended(WorkerId(id)).unwrap().stage, Stage::Starting);
            state.start_failed(now, Error::Cancelled);
        }
        assert_eq!(state.wanted(now), 0);
        let later = now + Duration::from_secs(60);
        assert_eq!(state.wanted(later), 1, "one is tried");
        state.add(WorkerId(9), "worker", (), later);
        state.ready(WorkerId(9));
        state.settle(later);
        assert_eq!(state.wanted(later), 1, "it may die yet");
        state.settle(later + Duration::from_secs(1));
        assert_eq!(state.wanted(later), 3);
    }

    #[test]
    fn a_shortage_outlasts_answered_requests_and_ends_with_one_worker_more() {
        let (mut state, now) = state(1000, 1000);
        start(&mut state, now, 1000);
        for id in 10..1000 {
            state.ended(WorkerId(id)).unwrap();
            state.refused(now, Error::Cancelled);
            state.start_failed(now, Error::Cancelled);
        }
        state.succeeded();
        assert_eq!(state.wanted(now), 0, "ten have room");
        state.ended(WorkerId(0)).unwrap();
        assert_eq!(state.wanted(now), 1, "one is replaced");
        state.add(WorkerId(1000), "worker", (), now);
        let later = now + Duration::from_secs(60);
        assert_eq!(state.wanted(later), 1, "one more is tried");
        for id in 1..10 {
            state.note_started(WorkerId(id));
        }
        state.add(WorkerId(1001), "worker", (), later);
        state.note_started(WorkerId(1000));
        assert_eq!(state.wanted(later), 0, "the one more is not there yet");
        state.note_started(WorkerId(1001));
        assert_eq!(state.wanted(later), 989);
    }

    #[test]
    fn sizes_of_any_number_do_not_overflow() {
        let (mut state, now) = state(usize::MAX, usize::MAX);
        state.queue().push(1, |_| false).unwrap();
        assert_eq!(state.wanted(now), usize::MAX);
    }

    #[test]
    fn workers_that_die_while_ready_are_a_crash_loop() {
        let (mut state, now) = state(2, 4);
        for id in 0..3 {
            state.add(WorkerId(id), "worker", (), now);
            state.refresh(|_| true);
            state.settle(now);
            assert_eq!(state.ended(WorkerId(id)).unwrap().stage, Stage::Ready);
            state.start_failed(now, Error::Cancelled);
        }
        assert!(state.backoff().is_unhealthy());
        assert_eq!(state.wanted(now), 0);
    }

    #[test]
    fn a_worker_that_is_given_back_is_taken_next() {
        let (mut state, now) = state(2, 2);
        start(&mut state, now, 2);
        let (id, worker) = state.take(|_| true, false).unwrap();
        state.put_back(id, worker, true, now);
        assert_eq!(state.take(|_| false, false).unwrap().0, id);
    }

    #[test]
    fn counts_follow_every_stage() {
        let (mut state, now) = state(4, 4);
        start(&mut state, now, 4);
        state.ready(WorkerId(0));
        state.ready(WorkerId(1));
        let (id, _) = state.take(|_| false, false).unwrap();
        state.ending(WorkerId(3), None);
        assert_eq!(id, WorkerId(0));
        let expected = Counts {
            starting: 1,
            ready: 1,
            busy: 1,
            ending: 1,
            waiting: 0,
        };
        assert_eq!(state.counts(), expected);
        assert_eq!(state.counts().live(), 4);
        assert_eq!(state.drain(|_| false).len(), 0);
        assert_eq!(state.counts(), expected);
        assert_eq!(state.drain(|_| true).len(), 4);
        assert_eq!(state.counts(), Counts::default());
    }
}
