//! How many requests are under way, and whether one may hurry.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;

use crate::config::Mode;

/// The requests of one service.
#[derive(Debug)]
pub(crate) struct Traffic {
    under_way: AtomicUsize,
    may_hurry: bool,
}

impl Traffic {
    /// In gVisor, whoever started it, its kernel needs the processors itself, and where there is only one,
    /// the UDF does: looking out for a response would only hold it up.
    pub(crate) fn new(mode: Mode) -> Arc<Self> {
        let several = available_parallelism().is_ok_and(|count| count.get() > 1);
        Arc::new(Self {
            under_way: AtomicUsize::new(0),
            may_hurry: several && mode == Mode::Minimal,
        })
    }

    /// A request is under way for as long as the result lives.
    pub(crate) fn enter(self: &Arc<Self>) -> Passage {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        Passage(Arc::clone(self))
    }

    /// Whether a request may keep a processor busy to see its response sooner: if it is the only one.
    pub(crate) fn may_hurry(&self) -> bool {
        self.may_hurry && self.under_way.load(Ordering::Relaxed) == 1
    }
}

/// One request's way.
#[derive(Debug)]
pub(crate) struct Passage(Arc<Traffic>);

impl Drop for Passage {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_is_alone_may_hurry_and_nobody_in_gvisor() {
        let directly = Arc::new(Traffic {
            under_way: AtomicUsize::new(0),
            may_hurry: true,
        });
        let first = directly.enter();
        assert!(directly.may_hurry());
        let second = directly.enter();
        assert!(!directly.may_hurry());
        drop(first);
        assert!(directly.may_hurry());
        drop(second);
        for mode in [Mode::Gvisor, Mode::GvisorDebug, Mode::External] {
            let gvisor = Traffic::new(mode);
            let _alone = gvisor.enter();
            assert!(!gvisor.may_hurry(), "{mode}");
        }
    }
}
