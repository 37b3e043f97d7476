//! The options of a service's sandboxes.

mod libraries;

use std::fmt;
use std::str::FromStr;

use roma_core::ConfigError;
use roma_sandbox::seccomp::FilterLevel;

pub use libraries::{LibraryMount, check_mounts, has_dots, system_libraries};

/// What encloses the whole engine, in addition to the sandbox of each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mode {
    /// gVisor around all processes of the service. The default, and the mode for production.
    #[default]
    Gvisor,
    /// As [`Mode::Gvisor`], with gVisor's debug log and system call trace beside the instance's folder,
    /// in a folder whose name ends in `.debug` and that stays.
    GvisorDebug,
    /// No outer sandbox: for development, and for machines where gVisor cannot run.
    Minimal,
    /// This process already runs inside an outer sandbox, such as gVisor or a micro-VM, for example by a
    /// Kubernetes RuntimeClass.
    External,
}

impl Mode {
    /// Returns whether this mode starts gVisor.
    #[must_use]
    pub fn is_gvisor(self) -> bool {
        matches!(self, Self::Gvisor | Self::GvisorDebug)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gvisor => "gvisor",
            Self::GvisorDebug => "gvisor-debug",
            Self::Minimal => "minimal",
            Self::External => "external",
        })
    }
}

impl FromStr for Mode {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        match text {
            "gvisor" => Ok(Self::Gvisor),
            "gvisor-debug" => Ok(Self::GvisorDebug),
            "minimal" => Ok(Self::Minimal),
            "external" => Ok(Self::External),
            other => Err(ConfigError::UnknownValue {
                option: "mode",
                value: other.to_owned(),
                allowed: "gvisor, gvisor-debug, minimal, external",
            }),
        }
    }
}

/// How gVisor intercepts system calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Platform {
    /// The fastest of those that work here. It is measured once and remembered for this machine, kernel
    /// and runsc.
    #[default]
    Auto,
    /// Signals and shared memory: gVisor's own default.
    Systrap,
    /// `ptrace(2)`: slower on most machines, faster inside some virtual ones.
    Ptrace,
    /// Hardware virtualisation: needs `/dev/kvm`, best on bare metal.
    Kvm,
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Systrap => "systrap",
            Self::Ptrace => "ptrace",
            Self::Kvm => "kvm",
        })
    }
}

impl FromStr for Platform {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        match text {
            "auto" => Ok(Self::Auto),
            "systrap" => Ok(Self::Systrap),
            "ptrace" => Ok(Self::Ptrace),
            "kvm" => Ok(Self::Kvm),
            other => Err(ConfigError::UnknownValue {
                option: "platform",
                value: other.to_owned(),
                allowed: "auto, systrap, ptrace, kvm",
            }),
        }
    }
}

/// Which system calls a UDF may make. Each level keeps the promises of those before it; no
/// capability, no network, no writable file and `no_new_privs` hold at every level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SyscallFilter {
    /// No filter; only the other layers hold. Fastest in gVisor, whose own kernel is the boundary.
    None,
    /// Denies what is dangerous (new namespaces, mounts, tracing, keys, sockets other than local
    /// ones, …) and allows the rest: for UDFs that need more than [`SyscallFilter::Strict`].
    Engine,
    /// Allows only what a program that computes needs. The default.
    #[default]
    Strict,
}

impl From<SyscallFilter> for FilterLevel {
    fn from(filter: SyscallFilter) -> Self {
        match filter {
            SyscallFilter::None => Self::None,
            SyscallFilter::Engine => Self::Engine,
            SyscallFilter::Strict => Self::Strict,
        }
    }
}

impl fmt::Display for SyscallFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Engine => "engine",
            Self::Strict => "strict",
        })
    }
}

impl FromStr for SyscallFilter {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        match text {
            "none" => Ok(Self::None),
            "engine" => Ok(Self::Engine),
            "strict" => Ok(Self::Strict),
            other => Err(ConfigError::UnknownValue {
                option: "filter",
                value: other.to_owned(),
                allowed: "none, engine, strict",
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_parsed_from_its_name() {
        for mode in [
            Mode::Gvisor,
            Mode::GvisorDebug,
            Mode::Minimal,
            Mode::External,
        ] {
            assert_eq!(mode.to_string().parse::<Mode>().unwrap(), mode);
        }
        for platform in [
            Platform::Auto,
            Platform::Systrap,
            Platform::Ptrace,
            Platform::Kvm,
        ] {
            assert_eq!(platform.to_string().parse::<Platform>().unwrap(), platform);
        }
        for filter in [
            SyscallFilter::None,
            SyscallFilter::Engine,
            SyscallFilter::Strict,
        ] {
            assert_eq!(filter.to_string().parse::<SyscallFilter>().unwrap(), filter);
        }
    }

    #[test]
    fn the_error_for_an_unknown_name_lists_the_known_ones() {
        let error = "nsjail".parse::<Mode>().unwrap_err().to_string();
        assert!(
            error.contains("nsjail") && error.contains("gvisor-debug"),
            "{error}"
        );
    }
}
