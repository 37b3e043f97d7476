//! The host's ends of the connections into a sandbox. Nothing here ever blocks a thread on a peer.
//!
//! - [`Seqpacket`]: packets to and from `run_workers` and spawners, with descriptors attached on the
//!   way in. [`Outbox`] keeps what does not fit into the socket, in order.
//! - [`stream`]: byte streams and pipes.
//! - [`Arrivals`]: which of many connections have something to read.
//! - [`Exchange`]: one request and one response over the data connection of a worker.

mod arrivals;
mod exchange;
mod outbox;
mod seqpacket;
pub mod stream;
mod sync;
mod watch;

pub use arrivals::Arrivals;
pub use exchange::{Broken, Exchange, Outgoing, has_begun_to_answer, until_ready};
pub use outbox::Outbox;
pub use seqpacket::Seqpacket;
pub use watch::watch;
