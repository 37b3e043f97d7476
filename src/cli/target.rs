//! Which sandbox to use: the options that commands share.

use std::path::PathBuf;

use clap::Args;
use roma_byob::{Mode, Platform, Service, ServiceBuilder, SyscallFilter};

/// Where requests run.
#[derive(Debug, Clone, Args)]
pub struct Target {
    /// The outer sandbox: gvisor, gvisor-debug, minimal or external.
    #[arg(long, default_value_t = Mode::Gvisor)]
    mode: Mode,
    /// gVisor's platform: auto, systrap, ptrace or kvm.
    #[arg(long, default_value_t = Platform::Auto)]
    platform: Platform,
    /// The system call filter: none, engine or strict.
    #[arg(long, default_value_t = SyscallFilter::Strict)]
    filter: SyscallFilter,
    /// The program run_workers. By default $ROMA_RUN_WORKERS, beside this program, or in $PATH.
    #[arg(long)]
    run_workers: Option<PathBuf>,
    /// gVisor's program runsc. By default $ROMA_RUNSC, beside this program, or in $PATH.
    #[arg(long)]
    runsc: Option<PathBuf>,
}

impl Target {
    /// A service there, not yet started.
    pub fn builder(&self) -> ServiceBuilder {
        let mut builder = Service::builder()
            .mode(self.mode)
            .platform(self.platform)
            .syscall_filter(self.filter);
        if let Some(path) = &self.run_workers {
            builder = builder.run_workers(path);
        }
        if let Some(path) = &self.runsc {
            builder = builder.runsc(path);
        }
        builder
    }
}
