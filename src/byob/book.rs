//! Who is who in one pool: a book-keeper without locks, clocks or descriptors of its own.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use roma_protocol::WorkerId;

use crate::health::Backoff;

/// How many of the longest-waiting workers are asked whether they are ready before one is taken.
const MOST_PROBES: usize = 16;

/// The sizes of a pool.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// Workers that wait for a request.
    pub(crate) target: usize,
    /// Workers that live at all.
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

/// How many workers and requests there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Processes that are not known to be ready yet.
    pub starting: usize,
    /// Processes that wait for a request.
    pub ready: usize,
    /// Processes that have one.
    pub busy: usize,
    /// Processes that have answered or were killed, but are not gone yet.
    pub ending: usize,
    /// Requests that wait for a process.
    pub waiting: usize,
}

impl Counts {
    /// All processes.
    #[must_use]
    pub fn live(&self) -> usize {
        self.starting + self.ready + self.busy + self.ending
    }
}

#[derive(Debug)]
struct Life<L> {
    stage: Stage,
    /// When it is to be killed.
    due: Option<Instant>,
    /// Since when it is known to wait for a request.
    ready_since: Option<Instant>,
    payload: L,
}

/// The end of a worker, as far as the book knows it.
#[derive(Debug)]
pub(crate) struct Ended<I, L> {
    pub(crate) stage: Stage,
    /// What was kept for whoever would take it, if nobody did.
    pub(crate) idle: Option<I>,
    pub(crate) payload: L,
}

/// The book. `I` is what is handed to whoever takes a worker, `L` what is kept until its end, and
/// `Q` whoever waits for one.
#[derive(Debug)]
pub(crate) struct Book<I, L, Q> {
    sizes: Sizes,
    idle: VecDeque<(WorkerId, I)>,
    live: HashMap<WorkerId, Life<L>>,
    queue: VecDeque<Q>,
    backoff: Backoff,
    /// Somebody who waited for a worker saw it get ready. Until then one at a time is tried: that
    /// first one is only looked at, so its place must not be filled while it is away.
    proven: bool,
}

impl<I, L, Q> Book<I, L, Q> {
    pub(crate) fn new(sizes: Sizes) -> Self {
        Self {
            sizes,
            idle: VecDeque::new(),
            live: HashMap::new(),
            queue: VecDeque::new(),
            backoff: Backoff::default(),
            proven: false,
        }
    }

    /// How many workers to start now.
    pub(crate) fn wanted(&self, now: Instant) -> usize {
        if !self.backoff.may_try(now) {
            return 0;
        }
        let room = self.sizes.max_live.saturating_sub(self.live.len());
        let missing = (self.sizes.target + self.queue.len()).saturating_sub(self.idle.len());
        if self.is_trusted() {
            return missing.min(room);
        }
        let tries = |life: &Life<L>| match life.stage {
            Stage::Starting => true,
            Stage::Ready | Stage::Busy => !self.proven,
            Stage::Ending => false,
        };
        let trying = self.live.values().any(tries);
        missing.min(room).min(usize::from(!trying))
    }

    /// Whether fewer than half of the workers that should be there are, or are being started.
    pub(crate) fn is_low(&self) -> bool {
        2 * self.idle.len() < self.sizes.target
    }

    /// Whether starts have gone well lately, so that many may go on at once.
    pub(crate) fn is_trusted(&self) -> bool {
        self.proven && !self.backoff.is_unhealthy()
    }

    /// A worker is being started; it must be ready by `due`.
    pub(crate) fn add(&mut self, id: WorkerId, idle: I, payload: L, due: Instant) {
        self.live.insert(
            id,
            Life {
                stage: Stage::Starting,
                due: Some(due),
                ready_since: None,
                payload,
            },
        );
        self.idle.push_back((id, idle));
    }

    /// Takes a worker for a request: the longest-waiting one that `is_ready`, or with `or_starting`
    /// the longest-waiting one of all.
    pub(crate) fn take(
        &mut self,
        is_ready: impl Fn(&mut I) -> bool,
        or_starting: bool,
    ) -> Option<(WorkerId, I)> {
        let probes = self.idle.len().min(MOST_PROBES);
        let ready = (0..probes).find(|&at| self.probe(at, &is_ready));
        let at = ready.or((or_starting && !self.idle.is_empty()).then_some(0))?;
        let (id, idle) = self.idle.remove(at)?;
        if let Some(life) = self.live.get_mut(&id) {
            life.stage = Stage::Busy;
            life.due = None;
        }
        Some((id, idle))
    }

    fn probe(&mut self, at: usize, is_ready: impl Fn(&mut I) -> bool) -> bool {
        let Some((id, idle)) = self.idle.get_mut(at) else {
            return false;
        };
        let Some(life) = self.live.get_mut(id) else {
            return false;
        };
        if life.stage == Stage::Starting && is_ready(idle) {
            life.stage = Stage::Ready;
            life.due = None;
        }
        life.stage == Stage::Ready
    }

    /// Notes which idle workers are ready by now.
    pub(crate) fn refresh(&mut self, is_ready: impl Fn(&mut I) -> bool) {
        for at in 0..self.idle.len() {
            self.probe(at, &is_ready);
        }
    }

    /// A worker says that it is ready, whoever has it.
    pub(crate) fn ready(&mut self, id: WorkerId) {
        if let Some(life) = self.live.get_mut(&id)
            && life.stage == Stage::Starting
        {
            life.stage = Stage::Ready;
            life.due = None;
        }
    }

    /// A request saw a worker that is as it should be.
    pub(crate) fn succeeded(&mut self) {
        self.proven = true;
        self.backoff.success();
    }

    /// Forgets failures once a worker has waited for a while. To get ready is not enough: some die
    /// right afterwards.
    pub(crate) fn settle(&mut self, now: Instant) {
        let mut is_over = false;
        for life in self.live.values_mut() {
            if life.stage == Stage::Ready {
                let since = *life.ready_since.get_or_insert(now);
                is_over |= self.backoff.is_over(since, now);
            }
        }
        if is_over {
            self.backoff.success();
        }
    }

    /// A request gives its worker back unused.
    pub(crate) fn put_back(&mut self, id: WorkerId, idle: I, ready: bool, due: Instant) {
        if let Some(life) = self.live.get_mut(&id) {
            life.stage = if ready { Stage::Ready } else { Stage::Starting };
            life.due = (!ready).then_some(due);
            self.idle.push_front((id, idle));
        }
    }

    /// A worker's request is over; it must be gone by `due`. Says whether it was still there.
    pub(crate) fn ending(&mut self, id: WorkerId, due: Option<Instant>) -> bool {
        match self.live.get_mut(&id) {
            Some(life) => {
                life.stage = Stage::Ending;
                life.due = due;
                true
            }
            None => false,
        }
    }

    /// A worker is gone.
    pub(crate) fn ended(&mut self, id: WorkerId) -> Option<Ended<I, L>> {
        let life = self.live.remove(&id)?;
        let at = self.idle.iter().position(|(idle, _)| *idle == id);
        let idle = at.and_then(|at| self.idle.remove(at)).map(|(_, idle)| idle);
        Some(Ended {
            stage: life.stage,
            idle,
            payload: life.payload,
        })
    }

    /// A worker could not be started, or ended before it was ready.
    pub(crate) fn start_failed(&mut self, now: Instant, cause: crate::Error) {
        self.backoff.failure(now, cause);
    }

    /// All workers are gone at once of whose kind this is.
    pub(crate) fn drain(&mut self, is_gone: impl Fn(&L) -> bool) -> Vec<L> {
        let gone = self.live.extract_if(|_, life| is_gone(&life.payload));
        let gone = gone.map(|(_, life)| life.payload).collect();
        self.idle.retain(|(id, _)| self.live.contains_key(id));
        gone
    }

    /// The workers whose time is over. Each is named once. A worker that nobody has wanted yet may
    /// have been ready for long, so `is_ready` is asked before its time is called over.
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
        for (id, life) in &mut self.live {
            if life.due.is_some_and(|due| due <= now) {
                life.due = None;
                overdue.push(*id);
            }
        }
        overdue
    }

    fn is_due(&self, id: WorkerId, now: Instant) -> bool {
        let due = self.live.get(&id).and_then(|life| life.due);
        due.is_some_and(|due| due <= now)
    }

    /// Makes a request wait, unless too many do. `is_gone` tells which of those have given up.
    pub(crate) fn enqueue(&mut self, waiter: Q, is_gone: impl Fn(&Q) -> bool) -> Result<(), Q> {
        if self.queue.len() >= self.sizes.max_waiting {
            self.queue.retain(|waiter| !is_gone(waiter));
        }
        if self.queue.len() >= self.sizes.max_waiting {
            return Err(waiter);
        }
        self.queue.push_back(waiter);
        Ok(())
    }

    /// The request that waits longest.
    pub(crate) fn next_waiter(&mut self) -> Option<Q> {
        self.queue.pop_front()
    }

    /// Whether any request waits.
    pub(crate) fn has_waiters(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Forgets all requests that wait.
    pub(crate) fn drop_waiters(&mut self) {
        self.queue.clear();
    }

    pub(crate) fn payload(&self, id: WorkerId) -> Option<&L> {
        self.live.get(&id).map(|life| &life.payload)
    }

    pub(crate) fn backoff(&self) -> &Backoff {
        &self.backoff
    }

    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts {
            waiting: self.queue.len(),
            ..Counts::default()
        };
        for life in self.live.values() {
            match life.stage {
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
    use super::*;
    use std::time::Duration;

    type TestBook = Book<&'static str, (), u32>;

    fn book(target: usize, max_live: usize) -> (TestBook, Instant) {
        let mut book = Book::new(Sizes {
            target,
            max_live,
            max_waiting: 2,
        });
        book.proven = true;
        (book, Instant::now())
    }

    fn start(book: &mut TestBook, now: Instant, count: u64) {
        for id in 0..count {
            book.add(WorkerId(id), "worker", (), now + Duration::from_secs(1));
        }
    }

    #[test]
    fn a_replacement_is_wanted_at_hand_off_within_the_ceiling() {
        let (mut book, now) = book(2, 3);
        assert_eq!(book.wanted(now), 2);
        start(&mut book, now, 2);
        assert_eq!(book.wanted(now), 0);
        book.take(|_| true, false).unwrap();
        assert_eq!(book.wanted(now), 1);
        book.add(WorkerId(9), "worker", (), now);
        book.take(|_| true, false).unwrap();
        assert_eq!(book.wanted(now), 0, "three live");
        book.ended(WorkerId(0)).unwrap();
        assert_eq!(book.wanted(now), 1);
    }

    #[test]
    fn half_of_the_workers_are_enough_for_a_while() {
        let (mut book, now) = book(4, 9);
        assert!(book.is_low());
        start(&mut book, now, 4);
        book.take(|_| true, false).unwrap();
        book.take(|_| true, false).unwrap();
        assert!(!book.is_low());
        book.take(|_| true, false).unwrap();
        assert!(book.is_low());
    }

    #[test]
    fn waiting_requests_count_as_need() {
        let (mut book, now) = book(1, 9);
        book.enqueue(1, |_| false).unwrap();
        assert_eq!(book.wanted(now), 2);
    }

    #[test]
    fn until_one_was_ready_one_at_a_time_is_tried() {
        let (mut book, now) = book(5, 9);
        book.proven = false;
        assert_eq!(book.wanted(now), 1);
        start(&mut book, now, 1);
        assert_eq!(book.wanted(now), 0);
        book.ready(WorkerId(0));
        book.succeeded();
        assert_eq!(book.wanted(now), 4);
    }

    #[test]
    fn the_first_worker_is_not_replaced_while_it_is_looked_at() {
        let (mut book, now) = book(2, 9);
        book.proven = false;
        start(&mut book, now, 1);
        let (id, worker) = book.take(|_| true, true).unwrap();
        assert_eq!(book.wanted(now), 0);
        book.put_back(id, worker, true, now);
        book.succeeded();
        assert_eq!(book.wanted(now), 1);
    }

    #[test]
    fn a_worker_that_nobody_wanted_is_not_late_for_that() {
        let (mut book, now) = book(2, 2);
        start(&mut book, now, 2);
        let later = now + Duration::from_secs(2);
        assert!(book.overdue(later, |_| true).is_empty());
        assert!(book.overdue(later, |_| false).is_empty(), "it was ready");
        assert_eq!(book.counts().ready, 2);
    }

    #[test]
    fn ready_workers_go_before_those_that_start() {
        let (mut book, now) = book(3, 3);
        book.add(WorkerId(1), "slow", (), now);
        book.add(WorkerId(2), "quick", (), now);
        assert_eq!(book.take(|w| *w == "quick", true).unwrap().1, "quick");
        assert!(book.take(|_| false, false).is_none());
        assert_eq!(book.take(|_| false, true).unwrap().1, "slow");
    }

    #[test]
    fn what_takes_too_long_is_named_once() {
        let (mut book, now) = book(2, 2);
        start(&mut book, now, 2);
        let later = now + Duration::from_secs(2);
        assert!(book.overdue(now, |_| false).is_empty());
        book.take(|_| true, false).unwrap();
        assert_eq!(book.overdue(later, |_| false), [WorkerId(1)]);
        assert!(book.overdue(later, |_| false).is_empty());
        assert!(book.ending(WorkerId(0), Some(now)));
        assert_eq!(book.overdue(later, |_| false), [WorkerId(0)]);
    }

    #[test]
    fn the_queue_is_bounded_by_those_who_still_wait() {
        let (mut book, _) = book(1, 1);
        book.enqueue(1, |_| false).unwrap();
        book.enqueue(2, |_| false).unwrap();
        assert_eq!(book.enqueue(3, |_| false), Err(3));
        book.enqueue(4, |waiter| *waiter == 1).unwrap();
        assert_eq!(book.next_waiter(), Some(2));
        assert_eq!(book.next_waiter(), Some(4));
    }

    #[test]
    fn crash_loops_pause_and_recover() {
        let (mut book, now) = book(4, 4);
        for id in 0..3 {
            book.add(WorkerId(id), "worker", (), now);
            assert_eq!(book.ended(WorkerId(id)).unwrap().stage, Stage::Starting);
            book.start_failed(now, crate::Error::Cancelled);
        }
        assert_eq!(book.wanted(now), 0);
        let later = now + Duration::from_secs(60);
        assert_eq!(book.wanted(later), 1, "one is tried");
        book.add(WorkerId(9), "worker", (), later);
        book.ready(WorkerId(9));
        book.settle(later);
        assert_eq!(book.wanted(later), 1, "it may die yet");
        book.settle(later + Duration::from_secs(1));
        assert_eq!(book.wanted(later), 3);
    }

    #[test]
    fn to_get_ready_and_die_is_a_crash_loop_too() {
        let (mut book, now) = book(2, 4);
        for id in 0..3 {
            book.add(WorkerId(id), "worker", (), now);
            book.refresh(|_| true);
            book.settle(now);
            assert_eq!(book.ended(WorkerId(id)).unwrap().stage, Stage::Ready);
            book.start_failed(now, crate::Error::Cancelled);
        }
        assert!(book.backoff().is_unhealthy());
        assert_eq!(book.wanted(now), 0);
    }

    #[test]
    fn a_worker_that_is_given_back_is_the_next_to_be_taken() {
        let (mut book, now) = book(2, 2);
        start(&mut book, now, 2);
        let (id, worker) = book.take(|_| true, false).unwrap();
        book.put_back(id, worker, true, now);
        assert_eq!(book.take(|_| false, false).unwrap().0, id);
    }

    #[test]
    fn counts_follow_every_stage() {
        let (mut book, now) = book(4, 4);
        start(&mut book, now, 4);
        book.ready(WorkerId(0));
        book.ready(WorkerId(1));
        let (id, _) = book.take(|_| false, false).unwrap();
        book.ending(WorkerId(3), None);
        assert_eq!(id, WorkerId(0));
        let expected = Counts {
            starting: 1,
            ready: 1,
            busy: 1,
            ending: 1,
            waiting: 0,
        };
        assert_eq!(book.counts(), expected);
        assert_eq!(book.counts().live(), 4);
        assert_eq!(book.drain(|_| false).len(), 0);
        assert_eq!(book.counts(), expected);
        assert_eq!(book.drain(|_| true).len(), 4);
        assert_eq!(book.counts(), Counts::default());
    }
}
