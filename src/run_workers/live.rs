//! The workers that live, by process and by the place that each takes.

use nix::unistd::Pid;
use roma_protocol::WorkerId;
use roma_protocol::spawner::MAX_LIVE;
use roma_sandbox::launch::StartTimes;
use std::collections::{HashMap, HashSet};
use std::time::Instant;

/// A worker that lives.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) worker: WorkerId,
    pub(crate) place: u32,
    pub(crate) accepted: Instant,
    pub(crate) start: StartTimes,
}

/// All of them. Places are small numbers that no two living workers share.
#[derive(Debug, Default)]
pub(crate) struct LiveWorkers {
    by_pid: HashMap<Pid, Live>,
    workers: HashSet<WorkerId>,
    free: Vec<u32>,
    places: u32,
}

impl LiveWorkers {
    /// A place for one more; `None` where there are too many. Give it back or [`Self::insert`] it.
    pub(crate) fn take_place(&mut self) -> Option<u32> {
        if let Some(place) = self.free.pop() {
            return Some(place);
        }
        let place = self.places;
        if place as usize == MAX_LIVE {
            return None;
        }
        self.places += 1;
        Some(place)
    }

    pub(crate) fn give_back(&mut self, place: u32) {
        self.free.push(place);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_pid.is_empty()
    }

    pub(crate) fn contains(&self, worker: WorkerId) -> bool {
        self.workers.contains(&worker)
    }

    pub(crate) fn insert(&mut self, pid: Pid, live: Live) {
        self.workers.insert(live.worker);
        self.by_pid.insert(pid, live);
    }

    pub(crate) fn remove(&mut self, pid: Pid) -> Option<Live> {
        let live = self.by_pid.remove(&pid)?;
        self.workers.remove(&live.worker);
        self.give_back(live.place);
        Some(live)
    }

    pub(crate) fn pid_of(&self, worker: WorkerId) -> Option<Pid> {
        self.by_pid
            .iter()
            .find(|(_, live)| live.worker == worker)
            .map(|(pid, _)| *pid)
    }

    pub(crate) fn pids(&self) -> impl Iterator<Item = Pid> {
        self.by_pid.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(worker: u64, place: u32) -> Live {
        let start = StartTimes::default();
        Live {
            worker: WorkerId(worker),
            place,
            accepted: Instant::now(),
            start,
        }
    }

    #[test]
    fn places_are_reused_but_never_shared() {
        let mut workers = LiveWorkers::default();
        let first = workers.take_place().expect("a place");
        let second = workers.take_place().expect("a place");
        assert_ne!(first, second);
        workers.insert(Pid::from_raw(10), live(1, first));
        assert_eq!(workers.pid_of(WorkerId(1)), Some(Pid::from_raw(10)));
        assert!(workers.contains(WorkerId(1)));
        assert_eq!(
            workers.remove(Pid::from_raw(10)).map(|live| live.worker),
            Some(WorkerId(1))
        );
        assert!(workers.remove(Pid::from_raw(10)).is_none());
        assert!(!workers.contains(WorkerId(1)));
        assert_eq!(workers.take_place(), Some(first));
    }

    #[test]
    fn there_are_only_so_many_places() {
        let mut workers = LiveWorkers::default();
        let places: HashSet<_> = std::iter::from_fn(|| workers.take_place()).collect();
        assert_eq!(places.len(), MAX_LIVE);
    }
}
