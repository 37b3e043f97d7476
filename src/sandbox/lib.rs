//! Linux primitives of Roma's sandbox: making processes, namespaces, mounts, capabilities, system call
//! filters, limits, control groups, passing descriptors, looking into binaries.
//!
//! All unsafe code of the engine lives in this crate. What it exports is safe to call; what may go
//! wrong at run time comes back as [`Errno`] or, where it is a step of starting something, as
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
