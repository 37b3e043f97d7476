//! Pools: keeps worker processes of loaded code ready in sandboxes, and hands them to requests.
//!
//! A [`Pool`] belongs to one piece of code. A request takes a [`Lease`] on one of its workers with
//! [`Pool::acquire_ready`], talks to the process over [`Worker::data`], and says what becomes of it:
//!
//! - [`Lease::answered`]: the process served its one request and ends by itself;
//! - [`Lease::give_back`]: the process waits for the next request;
//! - dropped: the process is killed.
//!
//! [`Deployments`] bring the pool into the sandboxes of a service and keep it there: when a sandbox dies
//! the pool is prepared in the next one. Nothing in this crate knows what a request is.

mod acquire;
mod deployment;
mod follow;
mod handover;
mod headroom;
mod lease;
mod metrics;
mod options;
mod patience;
mod pool;
mod queue;
mod random;
mod readiness;
mod shortage;
mod spawner;
mod state;
mod worker;

pub use deployment::{Deployments, Preparation};
pub use lease::Lease;
pub use options::{PoolOptions, Readiness};
pub use patience::Patience;
pub use pool::{Pool, Status};
pub use worker::{End, Worker, WorkerEnd};
