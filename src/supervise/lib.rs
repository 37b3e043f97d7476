//! Outer sandboxes: starts them, watches over them, restarts them, and prepares code in them.
//!
//! - [`SandboxOptions`]: what a service says about its sandboxes; resolved, it becomes an
//!   [`OuterConfig`].
//! - [`Slots`] are the places for sandboxes of one service. Each [`SandboxSlot`] replaces its
//!   [`Sandbox`] when that dies, and when it has grown or is old ([`Renewal`]).
//! - [`Sandbox::prepare`] brings a [`PoolCode`] into a sandbox. What happens to the pool afterwards is
//!   the business of the crate `pool`.
//! - [`Outer`]: the process of an outer sandbox, with gVisor or without.
//! - [`Backoff`], [`Watchdog`], [`LogCapture`]: for anything that may fail, hang or print.

mod backoff;
pub mod banner;
mod cores;
mod log_capture;
pub mod memory;
mod options;
mod outer;
mod platform;
mod pool_code;
mod programs;
mod remembered;
mod renewal;
mod run_dir;
mod run_dir_choice;
mod sandbox;
mod sandbox_options;
mod sandbox_slot;
mod watchdog;

pub use backoff::{Backoff, STABLE};
pub use cores::cores;
pub use log_capture::LogCapture;
pub use options::{
    LibraryMount, Mode, Platform, SyscallFilter, check_mounts, has_dots, system_libraries,
};
pub use outer::{Outer, OuterConfig};
pub use pool_code::PoolCode;
pub use programs::{Programs, Runsc};
pub use renewal::Renewal;
pub use run_dir_choice::{RunDirChoice, UnusableFolder};
pub use sandbox::{InUse, Prepared, Sandbox, unanswered};
pub use sandbox_options::SandboxOptions;
pub use sandbox_slot::{SandboxSlot, Slots};
pub use watchdog::{Due, Watchdog};
