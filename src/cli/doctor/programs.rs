//! The programs that a service needs: where they are, and their versions.

use std::path::PathBuf;

use roma_byob::ConfigError;
use roma_supervise::Runsc;

use super::DoctorArgs;
use crate::output::checks::Check;
use crate::samples::programs;

/// The paths of the programs that were found.
#[derive(Debug, Default)]
pub struct Programs {
    pub run_workers: Option<PathBuf>,
    pub runsc: Option<PathBuf>,
    pub echo: Option<PathBuf>,
}

/// Searches for all programs.
pub fn look(arguments: &DoctorArgs) -> (Programs, Vec<Check>) {
    let builder = arguments.builder();
    let (runsc, runsc_check) = runsc(builder.find_runsc());
    let (run_workers, run_workers_check) = run_workers(builder.find_run_workers());
    let (echo, echo_check) = echo(arguments.udf.clone());
    let programs = Programs {
        run_workers,
        runsc,
        echo,
    };
    (programs, vec![run_workers_check, runsc_check, echo_check])
}

fn run_workers(found: Result<PathBuf, ConfigError>) -> (Option<PathBuf>, Check) {
    match found {
        Ok(path) => {
            let check = Check::ok("run_workers", path.display().to_string());
            (Some(path), check)
        }
        Err(error) => {
            let fix = "tools/bazel build //src/run_workers, then name it with --run-workers or \
                       ROMA_RUN_WORKERS, or put it beside this program";
            let check = Check::missing("run_workers", what_is_missing(&error)).fix(fix);
            (None, check)
        }
    }
}

fn runsc(found: Result<PathBuf, ConfigError>) -> (Option<PathBuf>, Check) {
    let fix = "install gVisor (https://gvisor.dev/docs/user_guide/install), then put its runsc in \
               $PATH or name it with --runsc or ROMA_RUNSC";
    let path = match found {
        Ok(path) => path,
        Err(error) => {
            let check = Check::missing("runsc", what_is_missing(&error)).fix(fix);
            return (None, check);
        }
    };
    match Runsc::ask_version(&path) {
        Ok(version) => {
            let found = format!("{} ({version})", path.display());
            let mut runsc = Runsc::at(&path);
            runsc.version = version;
            (Some(path), separation(&runsc, found))
        }
        Err(reason) => {
            let found = format!("{} does not run: {reason}", path.display());
            (None, Check::failed("runsc", found).fix(fix))
        }
    }
}

/// Without our patch, systrap lets a program leave a message for the next one.
fn separation(runsc: &Runsc, found: String) -> Check {
    if runsc.resets_stubs() {
        return Check::ok("runsc", found);
    }
    let found = format!("{found}; on systrap a program can leave a message for the next one");
    let fix =
        "use the runsc of //third_party/runsc, or another platform: `auto` does not take systrap";
    Check::weak("runsc", found).fix(fix)
}

fn what_is_missing(error: &ConfigError) -> String {
    match error {
        ConfigError::MissingProgram { program, .. } => format!(
            "neither named by ROMA_{}, nor beside this program, nor in $PATH",
            program.to_uppercase()
        ),
        ConfigError::NoSuchProgram { path, .. } => format!("{} is not a file", path.display()),
        other => other.to_string(),
    }
}

fn echo(named: Option<PathBuf>) -> (Option<PathBuf>, Check) {
    match programs::find(named, "ROMA_ECHO_UDF", "echo_udf") {
        Ok(path) => {
            let check = Check::ok("echo UDF", path.display().to_string());
            (Some(path), check)
        }
        Err(error) => {
            let fix = "tools/bazel build //sample_udf/rust:echo_udf, then name it with --udf or \
                       ROMA_ECHO_UDF, or put it beside this program";
            (None, Check::missing("echo UDF", error.to_string()).fix(fix))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::checks::Verdict;

    #[test]
    fn a_runsc_without_the_patch_of_systrap_is_weak() {
        let check = |version: &str| {
            let mut runsc = Runsc::at("/bin/runsc");
            runsc.version = version.to_owned();
            separation(&runsc, "found".to_owned())
        };
        assert_eq!(check("1 (seccomp-notify stub-reset)").verdict, Verdict::Ok);
        let weak = check("release-20240729.0");
        assert_eq!(weak.verdict, Verdict::Weak);
        assert!(weak.fix.unwrap().contains("third_party/runsc"));
    }

    #[test]
    fn a_runsc_that_does_not_run_is_distinguished_from_a_missing_one() {
        let (path, check) = runsc(Ok("/bin/true".into()));
        assert_eq!((path, check.verdict), (None, Verdict::Failed));
        let missing = ConfigError::MissingProgram {
            program: "runsc",
            hint: "install gVisor".into(),
        };
        let (path, check) = runsc(Err(missing));
        assert_eq!((path, check.verdict), (None, Verdict::Missing));
        assert!(check.found.contains("ROMA_RUNSC"), "{check:?}");
        assert!(check.fix.unwrap().contains("--runsc"));
    }
}
