//! Ends code at its deadline.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use roma_v8_shim::Terminator;

/// How often code whose deadline has passed is told to end: the first time may be before it begins.
const REPEAT: Duration = Duration::from_millis(10);
/// A deadline that never comes.
const FAR: Duration = Duration::from_secs(60 * 60 * 24 * 365);

/// A thread that ends the code which runs when its time is over.
pub(crate) struct Timer(Arc<Watch>);

#[derive(Default)]
struct Watch {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    running: Option<(Instant, Terminator)>,
    /// When the thread looks again, if nothing wakes it.
    looks_at: Option<Instant>,
}

impl Timer {
    pub(crate) fn start() -> Self {
        let watch = Arc::<Watch>::default();
        let of_thread = Arc::clone(&watch);
        // Without a thread, the engine ends the process a moment after the deadline.
        let _ = std::thread::Builder::new().spawn(move || of_thread.run());
        Self(watch)
    }

    /// Does something that may run code, which is ended after `limit`.
    pub(crate) fn within<T>(
        &self,
        limit: Duration,
        terminator: Terminator,
        work: impl FnOnce() -> T,
    ) -> T {
        let now = Instant::now();
        let until = now.checked_add(limit).unwrap_or(now + FAR);
        {
            let mut state = self.0.lock();
            let is_earlier = state.looks_at.is_none_or(|looks_at| until < looks_at);
            state.running = Some((until, terminator));
            if is_earlier {
                self.0.changed.notify_one();
            }
        }
        let result = work();
        self.0.lock().running = None;
        result
    }
}

impl Watch {
    fn run(&self) {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            let wait = match &state.running {
                Some((until, terminator)) if *until <= now => {
                    terminator.terminate();
                    Some(REPEAT)
                }
                Some((until, _)) => Some(*until - now),
                None => None,
            };
            state.looks_at = wait.map(|wait| now + wait);
            state = match wait {
                Some(wait) => {
                    let waited = self.changed.wait_timeout(state, wait);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
