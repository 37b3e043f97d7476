//! Finding the programs that a service starts.

pub(crate) mod installed;
mod runsc;

use std::env;
use std::path::{Path, PathBuf};

use roma_core::ConfigError;

use installed::Installed;

pub use runsc::Runsc;

/// The programs that a service starts.
#[derive(Debug, Default)]
pub struct Programs {
    /// The path of `run_workers`, if it is not to be searched.
    pub run_workers: Option<PathBuf>,
    /// The path of `runsc`, if it is not to be searched.
    pub runsc: Option<PathBuf>,
}

impl Programs {
    /// Returns the path of the program `run_workers`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::MissingProgram`] lists where it could be; [`ConfigError::NoSuchProgram`] names the
    /// path that is wrong.
    pub fn find_run_workers(&self) -> Result<PathBuf, ConfigError> {
        let hint = "build //src/run_workers, then name it with ROMA_RUN_WORKERS or \
                    ServiceBuilder::run_workers, or put it beside this program";
        find(
            self.run_workers.as_deref(),
            "ROMA_RUN_WORKERS",
            "run_workers",
            || installed_at(|installed| installed.run_workers),
            hint,
        )
    }

    /// Returns the path of gVisor's program `runsc`.
    ///
    /// # Errors
    ///
    /// As for [`Programs::find_run_workers`].
    pub fn find_runsc(&self) -> Result<PathBuf, ConfigError> {
        let hint = "install gVisor, then name its runsc with ROMA_RUNSC or ServiceBuilder::runsc; for \
                    development without gVisor set DISABLE_GVISOR=true";
        find(
            self.runsc.as_deref(),
            "ROMA_RUNSC",
            "runsc",
            || installed_at(|installed| installed.runsc),
            hint,
        )
    }
}

/// A path that is given must exist; otherwise the first folder that has the program counts.
fn find(
    named: Option<&Path>,
    variable: &'static str,
    program: &'static str,
    installed: impl FnOnce() -> Result<Option<PathBuf>, ConfigError>,
    hint: &str,
) -> Result<PathBuf, ConfigError> {
    let explicit = named
        .map(Path::to_owned)
        .or_else(|| env::var_os(variable).map(PathBuf::from));
    let named = match explicit {
        Some(path) => Some(path),
        None => installed()?,
    };
    if let Some(path) = named {
        return match path.is_file() {
            true => Ok(absolute(path)),
            false => Err(ConfigError::NoSuchProgram { program, path }),
        };
    }
    let beside = env::current_exe()
        .ok()
        .and_then(|exe| exe.parent().map(Path::to_owned));
    let search = env::var_os("PATH").unwrap_or_default();
    beside
        .into_iter()
        .chain(env::split_paths(&search))
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
        .map(absolute)
        .ok_or_else(|| ConfigError::MissingProgram {
            program,
            hint: hint.to_owned(),
        })
}

fn installed_at(place: impl FnOnce(Installed) -> PathBuf) -> Result<Option<PathBuf>, ConfigError> {
    Ok(installed::find()?.map(place))
}

/// Makes a path absolute: the programs of a sandbox run in other folders than this process.
pub(crate) fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_given_must_exist() {
        let programs = Programs {
            runsc: Some("/no/such/runsc".into()),
            run_workers: None,
        };
        let text = programs.find_runsc().unwrap_err().to_string();
        assert!(
            text.contains("runsc") && text.contains("/no/such/runsc"),
            "{text}"
        );
    }

    #[test]
    fn an_installed_program_counts_unless_a_path_is_given() {
        let installed = || Ok(Some(PathBuf::from("/bin/sh")));
        let found = find(None, "ROMA_NO_SUCH_VARIABLE", "ls", installed, "").unwrap();
        assert_eq!(found, Path::new("/bin/sh"));
        let named = Some(Path::new("/bin/ls"));
        let found = find(named, "ROMA_NO_SUCH_VARIABLE", "ls", installed, "").unwrap();
        assert_eq!(found, Path::new("/bin/ls"));
    }

    #[test]
    fn the_path_variable_is_searched() {
        let found = find(None, "ROMA_NO_SUCH_VARIABLE", "sh", || Ok(None), "").unwrap();
        assert!(found.is_absolute() && found.ends_with("sh"));
        let error = find(
            None,
            "ROMA_NO_SUCH_VARIABLE",
            "no-such-program",
            || Ok(None),
            "do this",
        )
        .unwrap_err();
        assert!(error.to_string().contains("do this"));
    }
}
