//! Folders of the host that UDFs may read.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use roma_core::ConfigError;

/// A folder of the host that UDFs may read, for example one with shared libraries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LibraryMount {
    /// The folder on the host.
    pub source: PathBuf,
    /// Where UDFs see it.
    pub target: PathBuf,
}

impl LibraryMount {
    /// Shows `path` at the same path inside.
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

/// Returns the folders that hold this machine's dynamic linker and C library.
#[must_use]
pub fn system_libraries() -> Vec<LibraryMount> {
    ["/lib", "/lib64", "/usr/lib"]
        .into_iter()
        .filter(|path| Path::new(path).is_dir())
        .map(LibraryMount::same)
        .collect()
}

/// Refuses mounts that cannot work or that would hide each other.
///
/// # Errors
///
/// [`ConfigError::LibraryMount`] or [`ConfigError::MountClash`].
pub fn check_mounts(mounts: &[LibraryMount]) -> Result<(), ConfigError> {
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

/// Returns whether a path has parts that are not plain names, such as `..`.
pub fn has_dots(path: &Path) -> bool {
    use std::path::Component;
    !path
        .components()
        .all(|c| matches!(c, Component::RootDir | Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

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
