//! Cancelling an execution.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

use crate::token::ExecutionId;

/// Cancels an execution from anywhere. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Canceller {
    id: ExecutionId,
    state: Arc<CancelState>,
}

#[derive(Debug, Default)]
struct CancelState {
    is_cancelled: AtomicBool,
    wake: Notify,
}

impl Canceller {
    pub(super) fn new(id: ExecutionId) -> Self {
        Self {
            id,
            state: Arc::default(),
        }
    }

    /// Returns the id of the execution.
    #[must_use]
    pub fn id(&self) -> ExecutionId {
        self.id
    }

    /// Ends the execution with [`Error::Cancelled`](crate::Error::Cancelled), and its process at once.
    /// Does nothing if the execution is over.
    pub fn cancel(&self) {
        self.state.is_cancelled.store(true, Ordering::Release);
        self.state.wake.notify_waiters();
    }

    /// Waits until [`Canceller::cancel`] is called.
    pub async fn cancelled(&self) {
        loop {
            let woken = self.state.wake.notified();
            if self.state.is_cancelled.load(Ordering::Acquire) {
                return;
            }
            woken.await;
        }
    }
}
