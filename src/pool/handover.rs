//! Waiting for a value that another task hands over.

use std::time::Instant;

use tokio::sync::oneshot;
use tokio::time::timeout_at;

/// Why no value was handed over.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Missed {
    /// The sender is gone.
    SenderGone,
    /// The time is over.
    TooLate,
}

/// Waits for a value until a point in time. A value that is sent at that very moment is not lost:
/// either this returns it, or the sender gets it back.
pub(crate) async fn wait_until<T>(
    mut waiting: oneshot::Receiver<T>,
    until: Instant,
) -> Result<T, Missed> {
    match timeout_at(until.into(), &mut waiting).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(_)) => Err(Missed::SenderGone),
        Err(_) => {
            waiting.close();
            waiting.try_recv().map_err(|_| Missed::TooLate)
        }
    }
}
