//! Choosing the run directory: the one that was named, or else the first that can be used.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{Uid, geteuid};
use roma_core::ConfigError;

use crate::programs::{absolute, installed};
use crate::{remembered, run_dir};

/// The run directory of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDirChoice {
    /// The folder.
    pub path: PathBuf,
    /// The folders that would have been taken before it, and cannot be used.
    pub passed_over: Vec<UnusableFolder>,
}

/// A folder that cannot be the run directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnusableFolder {
    /// The folder.
    pub path: PathBuf,
    /// Why not.
    pub reason: String,
}

impl fmt::Display for UnusableFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.reason)
    }
}

/// Returns the folder that was named, or the first default that can be used. With `needs_exec`, files in
/// it must be executable.
pub(crate) fn choose(named: Option<&Path>, needs_exec: bool) -> Result<RunDirChoice, ConfigError> {
    match named.map(Path::to_owned).or_else(from_environment) {
        Some(folder) => only(absolute(folder), needs_exec),
        None => first_usable(defaults()?, needs_exec),
    }
}

fn from_environment() -> Option<PathBuf> {
    variable("ROMA_RUN_DIR").map(PathBuf::from)
}

/// What a user named is used or refused: files elsewhere would be a surprise.
fn only(path: PathBuf, needs_exec: bool) -> Result<RunDirChoice, ConfigError> {
    match check(&path, needs_exec) {
        Ok(()) => Ok(RunDirChoice {
            path,
            passed_over: Vec::new(),
        }),
        Err(error) => Err(ConfigError::RunDirectory {
            path,
            reason: error.to_string(),
        }),
    }
}

fn first_usable(
    candidates: impl IntoIterator<Item = PathBuf>,
    needs_exec: bool,
) -> Result<RunDirChoice, ConfigError> {
    let mut passed_over = Vec::new();
    for path in candidates.into_iter().map(absolute) {
        match check(&path, needs_exec) {
            Ok(()) => return Ok(RunDirChoice { path, passed_over }),
            Err(error) => passed_over.push(UnusableFolder {
                path,
                reason: error.to_string(),
            }),
        }
    }
    let reasons: Vec<_> = passed_over.iter().map(ToString::to_string).collect();
    Err(ConfigError::NoRunDirectory {
        reasons: reasons.join("; "),
    })
}

/// Checks that services can keep their files in `dir`, which is created if it is missing.
fn check(dir: &Path, needs_exec: bool) -> io::Result<()> {
    // First, so that no folder is left where none is of use.
    if needs_exec && is_noexec(dir)? {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "its file system is mounted noexec, and gVisor executes a program there",
        ));
    }
    run_dir::check(dir)
}

/// Returns whether files in `dir`, or where it would be created, cannot be executed.
fn is_noexec(dir: &Path) -> io::Result<bool> {
    for folder in dir.ancestors() {
        match statvfs(folder) {
            Ok(found) => return Ok(found.flags().contains(FsFlags::ST_NOEXEC)),
            Err(nix::errno::Errno::ENOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(false)
}

/// Returns the folders that are tried if none is named.
fn defaults() -> Result<Vec<PathBuf>, ConfigError> {
    let installed = installed::find()?.map(|installed| installed.run_dir);
    Ok(candidates(Surroundings {
        user: geteuid(),
        installed,
        runtime: variable("XDG_RUNTIME_DIR").map(PathBuf::from),
        temporary: env::temp_dir(),
        cache: remembered::cache_dir(),
    }))
}

fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

/// What the candidates depend on.
struct Surroundings {
    user: Uid,
    /// The folder of the container layers.
    installed: Option<PathBuf>,
    /// `$XDG_RUNTIME_DIR`.
    runtime: Option<PathBuf>,
    /// The folder for temporary files, which other users share.
    temporary: PathBuf,
    /// Roma's folder in the user's cache.
    cache: Option<PathBuf>,
}

fn candidates(surroundings: Surroundings) -> Vec<PathBuf> {
    let Surroundings {
        user,
        installed,
        runtime,
        temporary,
        cache,
    } = surroundings;
    let mut found: Vec<_> = installed.into_iter().collect();
    found.extend(runtime.map(|dir| dir.join("roma")));
    if user.is_root() {
        // Debian and others mount /run noexec. Unlike the folder for temporary files, /var/lib is
        // root's alone, and nothing deletes old files there.
        let roots = ["/run", "/var/lib"].map(Path::new).into_iter();
        found.extend(roots.filter(|dir| dir.is_dir()).map(|dir| dir.join("roma")));
    }
    found.push(temporary.join(format!("roma-{user}")));
    found.extend(cache.map(|dir| dir.join("run")));
    found
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn surroundings(user: u32) -> Surroundings {
        Surroundings {
            user: Uid::from_raw(user),
            installed: None,
            runtime: None,
            temporary: "/tmp".into(),
            cache: None,
        }
    }

    fn texts(surroundings: Surroundings) -> Vec<String> {
        let found = candidates(surroundings).into_iter();
        found.map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn root_has_folders_that_no_other_user_can_take() {
        let found = texts(surroundings(0));
        assert_eq!(found, ["/run/roma", "/var/lib/roma", "/tmp/roma-0"]);
    }

    #[test]
    fn the_folder_of_the_layers_comes_first_and_the_cache_last() {
        let all = Surroundings {
            installed: Some("/run_workers".into()),
            runtime: Some("/run/user/7".into()),
            cache: Some("/cache/roma".into()),
            ..surroundings(7)
        };
        let expected = [
            "/run_workers",
            "/run/user/7/roma",
            "/tmp/roma-7",
            "/cache/roma/run",
        ];
        assert_eq!(texts(all), expected);
    }

    #[test]
    fn the_first_folder_that_can_be_used_is_taken_and_the_others_are_named() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("file");
        fs::write(&file, "").unwrap();
        let (bad, good) = (file.join("roma"), scratch.path().join("good"));
        let unused = scratch.path().join("unused");
        let choice = first_usable([bad.clone(), good.clone(), unused.clone()], true).unwrap();
        assert_eq!(choice.path, good);
        assert_eq!(choice.passed_over.len(), 1);
        assert_eq!(choice.passed_over[0].path, bad);
        assert!(!unused.exists());
    }

    #[test]
    fn if_no_folder_can_be_used_the_error_has_each_reason() {
        let scratch = tempfile::tempdir().unwrap();
        let files = ["one", "two"].map(|name| scratch.path().join(name));
        for file in &files {
            fs::write(file, "").unwrap();
        }
        let error = first_usable(files.clone(), false).unwrap_err().to_string();
        for file in files {
            let name = file.display().to_string();
            assert!(error.contains(&format!("{name}: ")), "{error}");
        }
        assert!(error.contains("ROMA_RUN_DIR"), "{error}");
    }
}
