//! Linux primitives of Roma's sandbox. This crate does not depend on any engine or its messages.
//!
//! | to find | look at |
//! |---|---|
//! | how a worker is started | [`launch`]; other processes: [`clone`] |
//! | how its end and its usage are read | [`wait`], [`signals`] |
//! | which limits exist and where they are applied | [`limits`]; [`rlimits`] for a worker, [`cgroup`] for a pool |
//! | how the system call filter is built | [`seccomp`]; what only the spawner may call: [`gate`] |
//! | what a worker can see and reach | [`mounts`], [`namespaces`], [`descriptors`], [`caps`] |
//! | what names a failure | [`step`] |
//! | what a binary is | [`elf`] |
//!
//! All unsafe code of the engine is in this crate. What it exports is safe to call. Failures at run time
//! are returned as [`Errno`] or, if they belong to a step of starting something, as
//! [`step::StepFailure`].
#![allow(unsafe_code)]

pub mod caps;
pub mod cgroup;
pub mod clone;
pub mod descriptors;
pub mod elf;
pub mod fdpass;
pub mod gate;
pub mod guard;
pub mod launch;
pub mod limits;
pub mod mounts;
pub mod name;
pub mod namespaces;
pub mod rlimits;
pub mod seccomp;
pub mod signals;
pub mod step;
pub mod wait;

pub use nix::errno::Errno;
