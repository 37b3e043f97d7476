//! How an outer sandbox failed.

use roma_sandbox::step::StepFailure;

use super::output_ends_with;
use crate::exit::ExitStatus;
use crate::shown::shown;

/// Why an outer sandbox could not start or ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}{}{}", shown(what), exit.map(|e| format!(" (it {e})")).unwrap_or_default(), memory(*out_of_memory), output_ends_with(log_tail))]
pub struct SandboxFailure {
    /// What happened.
    pub what: String,
    /// The step that failed inside, if one is known.
    pub step: Option<StepFailure>,
    /// How its process ended.
    pub exit: Option<ExitStatus>,
    /// The kernel ended it because the machine or the container had no memory left.
    pub out_of_memory: bool,
    /// The end of its output, as it printed it.
    pub log_tail: String,
}

impl SandboxFailure {
    /// Returns a failure of which only this is known.
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            step: None,
            exit: None,
            out_of_memory: false,
            log_tail: String::new(),
        }
    }
}

fn memory(ran_out: bool) -> &'static str {
    if ran_out {
        " because memory ran out: a UDF took more than there is; set `Limits::data` and `Limits::processes`, \
         or give the container more"
    } else {
        ""
    }
}
