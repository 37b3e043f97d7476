//! Which sandbox to use: the options that commands share.

use std::path::PathBuf;

use clap::Args;
use roma_byob::{
    ConfigError, LibraryMount, Mode, Platform, Service, ServiceBuilder, SyscallFilter,
    system_libraries,
};

/// Where requests run.
#[derive(Debug, Clone, Args)]
pub struct Target {
    /// The outer sandbox: gvisor, gvisor-debug, minimal or external.
    #[arg(long, alias = "sandbox", default_value_t = Mode::Gvisor, value_parser = mode)]
    mode: Mode,
    /// The system call filter: none, engine or strict.
    #[arg(long, aliases = ["syscall-filtering", "syscall_filtering"])]
    #[arg(default_value_t = SyscallFilter::Strict, value_parser = filter)]
    filter: SyscallFilter,
    #[command(flatten)]
    means: Means,
}

/// The options of a sandbox that do not depend on its mode.
#[derive(Debug, Clone, Args)]
pub struct Means {
    /// gVisor's platform: auto, systrap, ptrace or kvm.
    #[arg(long, default_value_t = Platform::Auto)]
    platform: Platform,
    /// Number of gVisor sandboxes that share the work. By default one for each core, at most four.
    #[arg(long)]
    sandboxes: Option<u32>,
    /// The program run_workers. By default $ROMA_RUN_WORKERS, beside this program, or in $PATH.
    #[arg(long)]
    run_workers: Option<PathBuf>,
    /// gVisor's program runsc. By default $ROMA_RUNSC, beside this program, or in $PATH.
    #[arg(long)]
    runsc: Option<PathBuf>,
    /// Let UDFs read this machine's shared libraries, for UDFs that are linked dynamically.
    #[arg(long)]
    system_libraries: bool,
    /// A folder that UDFs may read, under the same name or another one.
    #[arg(long, value_name = "FOLDER[:INSIDE]")]
    library: Vec<String>,
}

impl Target {
    /// The outer sandbox.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The system call filter.
    pub fn filter(&self) -> SyscallFilter {
        self.filter
    }

    /// Returns whether UDFs may read files other than their binary.
    pub fn has_libraries(&self) -> bool {
        self.means.system_libraries || !self.means.library.is_empty()
    }

    /// Returns the builder of a service in this sandbox.
    pub fn builder(&self) -> ServiceBuilder {
        self.means.builder(self.mode, self.filter)
    }
}

impl Means {
    /// Returns the options that a mode can use: only gVisor has platforms and several sandboxes.
    pub fn for_mode(&self, mode: Mode) -> Self {
        let mut means = self.clone();
        if !mode.is_gvisor() {
            means.platform = Platform::Auto;
            means.sandboxes = None;
        }
        means
    }

    /// Returns the builder of a service with these options.
    pub fn builder(&self, mode: Mode, filter: SyscallFilter) -> ServiceBuilder {
        let mut builder = Service::builder()
            .mode(mode)
            .platform(self.platform)
            .syscall_filter(filter)
            .libraries(self.libraries());
        if let Some(count) = self.sandboxes {
            builder = builder.sandboxes(count);
        }
        if let Some(path) = &self.run_workers {
            builder = builder.run_workers(path);
        }
        if let Some(path) = &self.runsc {
            builder = builder.runsc(path);
        }
        builder
    }

    fn libraries(&self) -> Vec<LibraryMount> {
        let mut mounts = match self.system_libraries {
            true => system_libraries(),
            false => Vec::new(),
        };
        mounts.extend(self.library.iter().map(|text| match text.split_once(':') {
            Some((folder, inside)) => LibraryMount::at(folder, inside),
            None => LibraryMount::same(text),
        }));
        mounts
    }
}

/// Parses a mode. The name of a removed mode stands for its replacement.
pub fn mode(text: &str) -> Result<Mode, ConfigError> {
    match text {
        "nsjail" => Ok(Mode::Minimal),
        text => text.parse(),
    }
}

/// Parses a filter level, by its current or its former name.
pub fn filter(text: &str) -> Result<SyscallFilter, ConfigError> {
    match text {
        "no" => Ok(SyscallFilter::None),
        "worker-engine" => Ok(SyscallFilter::Engine),
        "untrusted" => Ok(SyscallFilter::Strict),
        text => text.parse(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn former_names_are_accepted() {
        assert_eq!(mode("nsjail"), Ok(Mode::Minimal));
        assert_eq!(mode("gvisor-debug"), Ok(Mode::GvisorDebug));
        assert!(mode("chroot").is_err());
        assert_eq!(filter("untrusted"), Ok(SyscallFilter::Strict));
        assert_eq!(filter("worker-engine"), Ok(SyscallFilter::Engine));
        assert_eq!(filter("no"), Ok(SyscallFilter::None));
        assert!(filter("some").is_err());
    }
}
