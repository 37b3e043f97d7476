//! Waiting for what somebody hands over.

use std::time::Instant;

use tokio::sync::oneshot;
use tokio::time::timeout_at;

/// Why nothing was handed over.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Missed {
    /// Nobody will any more.
    GivenUp,
    /// The time is over.
    TooLate,
}

/// Waits until a time. What is handed over in that very moment is not lost: either this returns it,
/// or whoever hands it over gets it back.
pub(crate) async fn wait_until<T>(
    mut waiting: oneshot::Receiver<T>,
    until: Instant,
) -> Result<T, Missed> {
    match timeout_at(until.into(), &mut waiting).await {
        Ok(Ok(it)) => Ok(it),
        Ok(Err(_)) => Err(Missed::GivenUp),
        Err(_) => {
            waiting.close();
            waiting.try_recv().map_err(|_| Missed::TooLate)
        }
    }
}
