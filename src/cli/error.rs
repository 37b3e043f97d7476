//! Errors for people, with advice that fixes them, and errors that are a wrong use of the tool.

use std::error::Error;
use std::fmt;

use roma_byob::shown;

/// The text of an error for a person.
pub trait Explain {
    /// Returns what happened, fit for a terminal, and, on a line of its own, what would fix it if that is
    /// known.
    fn explained(&self) -> String;
}

impl Explain for anyhow::Error {
    fn explained(&self) -> String {
        let mut causes = self.chain();
        let advice = causes.find_map(|cause| cause.downcast_ref::<roma_byob::Error>()?.advice());
        with_advice(shown(&format!("{self:#}")).into_owned(), advice)
    }
}

impl Explain for roma_byob::Error {
    fn explained(&self) -> String {
        with_advice(self.to_string(), self.advice())
    }
}

fn with_advice(text: String, advice: Option<&str>) -> String {
    match advice {
        Some(advice) => format!("{text}\nTo fix it: {advice}"),
        None => text,
    }
}

/// The user asked for something that is not possible. The tool's exit code is then 2.
#[derive(Debug)]
pub struct WrongUse(String);

impl WrongUse {
    /// Marks an error as a wrong use.
    pub fn of(error: anyhow::Error) -> anyhow::Error {
        Self(error.explained()).into()
    }
}

impl fmt::Display for WrongUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for WrongUse {}

/// Returns an error whose advice the engine knows, for tests.
#[cfg(test)]
pub fn fixable() -> roma_byob::Error {
    use roma_byob::{SandboxFailure, Step, StepFailure};
    let mut failure = SandboxFailure::new("it ended");
    failure.step = Some(StepFailure {
        step: Step::Isolate,
        // EPERM
        errno: 1,
    });
    roma_byob::Error::SandboxStart(failure.into())
}

#[cfg(test)]
mod tests {
    use anyhow::Context;
    use roma_byob::Error as EngineError;

    use super::*;

    #[test]
    fn an_error_with_advice_is_explained_with_it_on_a_line_of_its_own() {
        let error = fixable();
        let expected = format!("{error}\nTo fix it: {}", error.advice().unwrap());
        assert_eq!(error.explained(), expected);
        assert_eq!(anyhow::Error::from(error).explained(), expected);
    }

    #[test]
    fn advice_is_found_behind_contexts_and_kept_by_a_wrong_use() {
        let error = Err::<(), _>(fixable()).context("script:3").unwrap_err();
        let text = error.explained();
        assert!(text.starts_with("script:3: "), "{text}");
        let advice = fixable().advice().unwrap();
        assert!(text.ends_with(&format!("\nTo fix it: {advice}")), "{text}");
        let wrong = WrongUse::of(error);
        assert!(wrong.is::<WrongUse>());
        assert_eq!(wrong.explained(), text);
    }

    #[test]
    fn an_error_without_advice_is_explained_as_it_is() {
        assert_eq!(EngineError::ShutDown.advice(), None);
        let text = EngineError::ShutDown.to_string();
        assert_eq!(EngineError::ShutDown.explained(), text);
        assert_eq!(anyhow::Error::from(EngineError::ShutDown).explained(), text);
    }
}
