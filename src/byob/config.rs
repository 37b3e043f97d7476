//! The options of a service and their checks.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::ConfigError;

/// What encloses the whole engine, apart from the sandbox that each request has anyway.
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
    /// The outer sandbox is someone else's: this process already runs inside gVisor or a micro-VM,
    /// for example by a Kubernetes RuntimeClass.
    External,
}

impl Mode {
    /// True for the modes that start gVisor.
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
    /// Measure those that work here and take the fastest; the answer is remembered for this
    /// machine, kernel and runsc.
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
    /// No filter. The other layers alone hold. Fastest in gVisor, whose own kernel is the boundary.
    None,
    /// Denies what is dangerous (new namespaces, mounts, tracing, keys, sockets other than local
    /// ones, …) and allows the rest: for UDFs that need more than [`SyscallFilter::Strict`].
    Engine,
    /// Allows only what a program that computes needs. The default.
    #[default]
    Strict,
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

/// A folder of the host that UDFs may read, for example the libraries they link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LibraryMount {
    /// The folder on the host.
    pub source: PathBuf,
    /// Where UDFs see it.
    pub target: PathBuf,
}

impl LibraryMount {
    /// Shows `path` under the same name inside.
    pub fn same(path: impl Into<PathBuf>) -> Self {
        let source = path.into();
        Self {
            target: source.clone(),
            source,
        }
    }

    /// Shows `source` as `target` inside.
    pub fn at(source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        Self {
            source: source.into(),
            target: target.into(),
        }
    }
}

impl From<&str> for LibraryMount {
    fn from(path: &str) -> Self {
        Self::same(path)
    }
}

/// The folders where this machine's dynamic linker and C library live.
#[must_use]
pub fn system_libraries() -> Vec<LibraryMount> {
    ["/lib", "/lib64", "/usr/lib"]
        .into_iter()
        .filter(|path| Path::new(path).is_dir())
        .map(LibraryMount::same)
        .collect()
}

/// Refuses mounts that cannot work or that would hide each other.
pub(crate) fn check_mounts(mounts: &[LibraryMount]) -> Result<(), ConfigError> {
    let mut sources_by_target: HashMap<&Path, &Path> = HashMap::new();
    for mount in mounts {
        let reason = if !mount.source.is_absolute() || !mount.target.is_absolute() {
            Some("both paths must be absolute")
        } else if mount.target == Path::new("/") || has_dots(&mount.target) {
            Some("the target must be a plain path below /")
        } else if !mount.source.is_dir() {
            Some("the source is not a folder")
        } else {
            None
        };
        if let Some(reason) = reason {
            return Err(ConfigError::LibraryMount {
                path: mount.source.clone(),
                reason,
            });
        }
        if let Some(first) = sources_by_target.insert(&mount.target, &mount.source) {
            return Err(ConfigError::MountClash {
                target: mount.target.clone(),
                first: first.to_owned(),
                second: mount.source.clone(),
            });
        }
    }
    Ok(())
}

/// Whether a path has parts that are not plain names.
pub(crate) fn has_dots(path: &Path) -> bool {
    use std::path::Component;
    !path
        .components()
        .all(|c| matches!(c, Component::RootDir | Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_agree() {
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
    fn an_unknown_name_lists_the_known_ones() {
        let error = "nsjail".parse::<Mode>().unwrap_err().to_string();
        assert!(
            error.contains("nsjail") && error.contains("gvisor-debug"),
            "{error}"
        );
    }

    #[test]
    fn mounts_that_cannot_work_are_refused() {
        for (source, target) in [
            ("lib", "/lib"),
            ("/lib", "lib"),
            ("/lib", "/"),
            ("/lib", "/a/../b"),
            ("/no/such", "/x"),
        ] {
            assert!(
                check_mounts(&[LibraryMount::at(source, target)]).is_err(),
                "{source}:{target}"
            );
        }
        let twice = [LibraryMount::same("/usr"), LibraryMount::at("/etc", "/usr")];
        assert!(matches!(
            check_mounts(&twice),
            Err(ConfigError::MountClash { .. })
        ));
        assert!(check_mounts(&system_libraries()).is_ok());
    }
}
