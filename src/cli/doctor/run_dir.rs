//! The run directory: which one services take, and what keeps them from taking another.

use roma_byob::{ConfigError, Mode, RunDirChoice};

use super::DoctorArgs;
use crate::output::checks::Check;

/// The name of this check.
pub const NAME: &str = "run directory";

const FIX: &str = "name a folder with ROMA_RUN_DIR: it must be writable, belong to this user alone and \
                   not be mounted noexec (docker run --tmpfs /scratch:exec \
                   --env ROMA_RUN_DIR=/scratch/roma ...)";

/// Chooses a run directory as services do, which creates it.
pub fn look(arguments: &DoctorArgs) -> Check {
    let choose = |mode| arguments.builder().mode(mode).choose_run_dir();
    match choose(Mode::Gvisor) {
        Ok(choice) => Check::ok(NAME, found(&choice)),
        Err(error) => without_gvisor(&error, choose(Mode::Minimal).ok()),
    }
}

fn found(choice: &RunDirChoice) -> String {
    let taken = choice.path.display().to_string();
    let passed_over = choice.passed_over.iter();
    let texts = passed_over.map(|folder| format!("; not {folder}"));
    std::iter::once(taken).chain(texts).collect()
}

/// Without gVisor nothing is executed in the folder, so that more folders can be used.
fn without_gvisor(error: &ConfigError, choice: Option<RunDirChoice>) -> Check {
    let reason = match error {
        ConfigError::RunDirectory { path, reason } => format!("{}: {reason}", path.display()),
        ConfigError::NoRunDirectory { reasons } => format!("none can be used ({reasons})"),
        other => other.to_string(),
    };
    let check = match choice {
        Some(choice) => {
            let path = choice.path.display();
            Check::weak(NAME, format!("{path}, only without gVisor; {reason}"))
        }
        None => Check::missing(NAME, reason),
    };
    check.fix(FIX)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::output::checks::Verdict;

    fn choice(path: &str) -> RunDirChoice {
        RunDirChoice {
            path: path.into(),
            passed_over: Vec::new(),
        }
    }

    #[test]
    fn a_folder_that_gvisor_cannot_use_is_weak_and_none_at_all_is_missing() {
        let error = ConfigError::RunDirectory {
            path: Path::new("/a").into(),
            reason: "why".into(),
        };
        let weak = without_gvisor(&error, Some(choice("/a")));
        assert_eq!(weak.verdict, Verdict::Weak);
        assert_eq!(weak.found, "/a, only without gVisor; /a: why");
        let missing = without_gvisor(&error, None);
        assert_eq!(missing.verdict, Verdict::Missing);
        assert_eq!(missing.found, "/a: why");
        assert!(missing.fix.unwrap().contains("ROMA_RUN_DIR"));
    }
}
