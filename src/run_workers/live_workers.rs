//! The live workers of a spawner, by process id, and the slot that each occupies.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use nix::unistd::Pid;
use roma_protocol::WorkerId;
use roma_protocol::spawner::MAX_LIVE;
use roma_sandbox::launch::StartTimes;

/// A live worker.
#[derive(Debug)]
pub(crate) struct LiveWorker {
    pub(crate) worker: WorkerId,
    pub(crate) slot: u32,
    pub(crate) accepted: Instant,
    pub(crate) start: StartTimes,
}

/// All live workers. Slots are small numbers that no two live workers share.
#[derive(Debug, Default)]
pub(crate) struct LiveWorkers {
    by_pid: HashMap<Pid, LiveWorker>,
    workers: HashSet<WorkerId>,
    free: Vec<u32>,
    slots: u32,
}

impl LiveWorkers {
    /// Reserves a slot for one more worker; `None` if there are [`MAX_LIVE`]. The caller passes it to
    /// [`Self::insert`] or [`Self::release_slot`].
    pub(crate) fn reserve_slot(&mut self) -> Option<u32> {
        if let Some(slot) = self.free.pop() {
            return Some(slot);
        }
        let slot = self.slots;
        if slot as usize == MAX_LIVE {
            return None;
        }
        self.slots += 1;
        Some(slot)
    }

    pub(crate) fn release_slot(&mut self, slot: u32) {
        self.free.push(slot);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_pid.is_empty()
    }

    pub(crate) fn contains(&self, worker: WorkerId) -> bool {
        self.workers.contains(&worker)
    }

    pub(crate) fn insert(&mut self, pid: Pid, live: LiveWorker) {
        self.workers.insert(live.worker);
        self.by_pid.insert(pid, live);
    }

    pub(crate) fn remove(&mut self, pid: Pid) -> Option<LiveWorker> {
        let live = self.by_pid.remove(&pid)?;
        self.workers.remove(&live.worker);
        self.release_slot(live.slot);
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

    fn live(worker: u64, slot: u32) -> LiveWorker {
        let start = StartTimes::default();
        LiveWorker {
            worker: WorkerId(worker),
            slot,
            accepted: Instant::now(),
            start,
        }
    }

    #[test]
    fn slots_are_reused_but_never_shared() {
        let mut workers = LiveWorkers::default();
        let first = workers.reserve_slot().expect("a slot");
        let second = workers.reserve_slot().expect("a slot");
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
        assert_eq!(workers.reserve_slot(), Some(first));
    }

    #[test]
    fn there_are_max_live_slots() {
        let mut workers = LiveWorkers::default();
        let slots: HashSet<_> = std::iter::from_fn(|| workers.reserve_slot()).collect();
        assert_eq!(slots.len(), MAX_LIVE);
    }
}
