//! What crosses Roma's sandbox boundary, as plain bytes and types. Nothing here does I/O.
//!
//! Six kinds of connection exist. The host makes all of them as connected pairs and the sandbox gets
//! one end of each as a descriptor. None has a name or an address, so no other process can connect.
//!
//! | connection | kind | between | lives as long as | bytes |
//! |---|---|---|---|---|
//! | control | `SOCK_SEQPACKET` | host and `run_workers` (its standard input) | the sandbox | [`control`] |
//! | code | `SOCK_STREAM` | host to a pool that is being loaded | the load | the binary, then its BLAKE3 digest ([`control::DIGEST_BYTES`]) |
//! | spawner | `SOCK_SEQPACKET` | host and one spawner of a pool | the spawner | [`spawner`] |
//! | data | `SOCK_STREAM` | host and one worker (descriptor 3) | the worker | [`byob`] |
//! | log | pipe or stream | one worker (descriptors 1 and 2) to host | the worker | what the UDF prints |
//! | host functions | `SOCK_STREAM` | host and one worker (descriptor 4), if it may call them | the worker | [`byob::frame`]s |
//!
//! The host ends things by closing its end: of the control connection, the whole sandbox; of spawner
//! connection 0, its pool; of another spawner connection, that spawner and its workers.
//!
//! [`control`] and [`spawner`] are the same for every engine. [`byob`] is what a byob UDF speaks.

pub mod byob;
pub mod control;
pub mod ids;
pub mod spawner;
mod wire;

pub use ids::{PoolId, WorkerId};
pub use wire::{DecodeError, PROTOCOL_VERSION};
