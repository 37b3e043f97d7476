//! Listening for the measurements of gVisor's platforms, which a service makes at its first start on a machine.

use std::fmt::Debug;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// The module whose events are measurements.
const TARGET: &str = "roma_supervise::platform";

/// The time of one process on one platform, as text. Both are empty in the event that
/// precedes the measurements.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Measured {
    pub platform: String,
    pub time: String,
}

/// Returns the measurements of this process from here on. Only its first call returns any.
pub fn listen() -> UnboundedReceiver<Measured> {
    let (sender, receiver) = unbounded_channel();
    // Without the events the demo prints less, and is no less correct.
    let _ = tracing::subscriber::set_global_default(Listener(sender));
    receiver
}

struct Listener(UnboundedSender<Measured>);

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target() == TARGET && *metadata.level() == Level::INFO
    }

    fn event(&self, event: &Event<'_>) {
        let mut measured = Measured::default();
        event.record(&mut measured);
        let _ = self.0.send(measured);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl Visit for Measured {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "platform" => self.platform = format!("{value:?}"),
            // (a duration, which takes the precision)
            "time" => self.time = format!("{value:.2?}"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn measurements_are_received_and_other_events_are_not() {
        let (sender, mut receiver) = unbounded_channel();
        tracing::subscriber::with_default(Listener(sender), || {
            tracing::info!(target: TARGET, "measuring");
            let time = Duration::from_micros(4661);
            let platform = "ptrace";
            tracing::info!(target: TARGET, %platform, ?time, "measured");
            tracing::info!(%platform, ?time, "another module's");
        });
        let expected = Measured {
            platform: "ptrace".into(),
            time: "4.66ms".into(),
        };
        assert_eq!(receiver.try_recv(), Ok(Measured::default()));
        assert_eq!(receiver.try_recv(), Ok(expected));
        assert!(receiver.try_recv().is_err());
    }
}
