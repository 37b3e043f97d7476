//! How many requests are in flight, and whether one may spin for its response.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use roma_supervise::{Mode, cores};

/// The requests of one service that are in flight.
#[derive(Debug)]
pub(crate) struct InFlight {
    count: AtomicUsize,
    may_spin: bool,
}

impl InFlight {
    /// No request spins in gVisor, whose kernel needs the processors itself, nor on a machine with one
    /// processor, which the UDF needs: it would only delay the response.
    pub(crate) fn new(mode: Mode) -> Arc<Self> {
        Arc::new(Self {
            count: AtomicUsize::new(0),
            may_spin: cores() > 1 && mode == Mode::Minimal,
        })
    }

    /// Counts a request while the guard lives.
    pub(crate) fn enter(self: &Arc<Self>) -> InFlightGuard {
        self.count.fetch_add(1, Ordering::Relaxed);
        InFlightGuard(Arc::clone(self))
    }

    /// Returns whether a request may keep a processor busy to see its response sooner: only if it is
    /// the only one.
    pub(crate) fn may_spin(&self) -> bool {
        self.may_spin && self.count.load(Ordering::Relaxed) == 1
    }
}

/// Counts one request in flight.
#[derive(Debug)]
pub(crate) struct InFlightGuard(Arc<InFlight>);

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_request_that_is_alone_spins_and_none_does_in_gvisor() {
        let minimal = Arc::new(InFlight {
            count: AtomicUsize::new(0),
            may_spin: true,
        });
        let first = minimal.enter();
        assert!(minimal.may_spin());
        let second = minimal.enter();
        assert!(!minimal.may_spin());
        drop(first);
        assert!(minimal.may_spin());
        drop(second);
        for mode in [Mode::Gvisor, Mode::GvisorDebug, Mode::External] {
            let gvisor = InFlight::new(mode);
            let _alone = gvisor.enter();
            assert!(!gvisor.may_spin(), "{mode}");
        }
    }
}
