//! What crosses Roma's sandbox boundary, as plain bytes and types. Nothing here does I/O.
//!
//! Four kinds of connection exist. All are socket pairs that the host makes; the sandbox gets one end
//! of each as a descriptor and never a name, so there is nothing to connect to and nothing to forge.
//!
//! | connection | kind | between | lives as long as | bytes |
//! |---|---|---|---|---|
//! | control | `SOCK_SEQPACKET` | host and `run_workers` (its standard input) | the sandbox | [`control`] |
//! | spawner | `SOCK_SEQPACKET` | host and one spawner of a pool | the spawner | [`spawner`] |
//! | data | `SOCK_STREAM` | host and one worker (descriptor 3) | the worker | [`readiness`], then [`frame`] |
//! | code | `SOCK_STREAM` | host to a pool being loaded | the load | the binary's bytes, then its digest, then EOF |
//!
//! Closing the host's end is how things end: of the control connection, the whole sandbox; of spawner
//! connection 0, its pool; of another spawner connection, that spawner and its workers.

pub mod control;
pub mod frame;
pub mod ids;
pub mod readiness;
pub mod spawner;
mod wire;

pub use ids::{PoolId, WorkerId};
pub use wire::DecodeError;

/// Changes whenever a message's bytes or meaning change. The host refuses another `run_workers`.
pub const PROTOCOL_VERSION: u16 = 3;
