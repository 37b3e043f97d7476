//! The results of checks: a table for people, JSON for programs.

use std::fmt;

use roma_byob::shown;
use serde_json::{Value, json};

use crate::output::terminal::{Colour, WIDTH, painted, wrapped};

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, but not as well as it could.
    Weak,
    /// It does not exist.
    Missing,
    /// It exists and does not work.
    Failed,
    /// It could not be checked, because something else is missing.
    Skipped,
}

impl Verdict {
    fn colour(self) -> Colour {
        match self {
            Self::Ok => Colour::Green,
            Self::Weak => Colour::Yellow,
            Self::Missing | Self::Failed => Colour::Red,
            Self::Skipped => Colour::Grey,
        }
    }

    /// Returns whether it keeps Roma from working.
    pub fn is_bad(self) -> bool {
        matches!(self, Self::Missing | Self::Failed)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Weak => "weak",
            Self::Missing => "missing",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        })
    }
}

/// One check. What was found may contain text of a UDF and is kept as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub name: String,
    pub verdict: Verdict,
    pub found: String,
    /// What fixes it.
    pub fix: Option<String>,
}

impl Check {
    pub fn ok(name: &str, found: impl Into<String>) -> Self {
        Self::new(name, Verdict::Ok, found)
    }

    pub fn weak(name: &str, found: impl Into<String>) -> Self {
        Self::new(name, Verdict::Weak, found)
    }

    pub fn missing(name: &str, found: impl Into<String>) -> Self {
        Self::new(name, Verdict::Missing, found)
    }

    pub fn failed(name: &str, found: impl Into<String>) -> Self {
        Self::new(name, Verdict::Failed, found)
    }

    pub fn skipped(name: &str, why: impl Into<String>) -> Self {
        Self::new(name, Verdict::Skipped, why)
    }

    /// Sets what fixes it.
    pub fn fix(self, fix: impl Into<String>) -> Self {
        Self {
            fix: Some(fix.into()),
            ..self
        }
    }

    fn new(name: &str, verdict: Verdict, found: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            verdict,
            found: shown(&found.into()).into_owned(),
            fix: None,
        }
    }

    pub fn json(&self) -> Value {
        json!({
            "name": self.name,
            "verdict": self.verdict.to_string(),
            "found": self.found,
            "fix": self.fix,
        })
    }
}

/// The width of the column of verdicts.
const VERDICT_WIDTH: usize = 7;

/// Returns the checks as lines for a terminal.
pub fn table(checks: &[Check], colours: bool) -> String {
    let names = checks.iter().map(|check| check.name.chars().count());
    let indent = names.max().unwrap_or_default() + 2;
    let found_at = indent + VERDICT_WIDTH + 2;
    let mut lines = Vec::new();
    for check in checks {
        let mut found = wrapped(&check.found, WIDTH - found_at).into_iter();
        let verdict = format!("{:VERDICT_WIDTH$}", check.verdict);
        let verdict = painted(&verdict, check.verdict.colour(), colours);
        let first = found.next().unwrap_or_default();
        lines.push(format!("{:indent$}{verdict}  {first}", check.name));
        lines.extend(found.map(|more| format!("{:found_at$}{more}", "")));
        lines.extend(fix_lines(check, indent));
    }
    lines
        .iter()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}

fn fix_lines(check: &Check, indent: usize) -> Vec<String> {
    const LABEL: &str = "fix: ";
    let Some(fix) = &check.fix else {
        return Vec::new();
    };
    let text = wrapped(fix, WIDTH - indent - LABEL.len());
    let labels = std::iter::once(LABEL).chain(std::iter::repeat(""));
    text.iter()
        .zip(labels)
        .map(|(line, label)| format!("{:indent$}{label:5}{line}", ""))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_fixes_stand_below() {
        let checks = [
            Check::ok("kernel", "6.1"),
            Check::missing("user namespaces", "none are allowed").fix("sysctl -w a=1"),
        ];
        let expected = "\
kernel           ok       6.1
user namespaces  missing  none are allowed
                 fix: sysctl -w a=1
";
        assert_eq!(table(&checks, false), expected);
    }

    #[test]
    fn nothing_is_wider_than_a_terminal() {
        let long = "many words ".repeat(40);
        let check = Check::failed("something with a name", &*long).fix(&*long);
        let text = table(&[check], false);
        assert!(text.lines().count() > 8, "{text}");
        assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");
    }

    #[test]
    fn colours_are_only_there_if_asked_for() {
        let checks = [Check::ok("kernel", "6.1")];
        assert!(!table(&checks, false).contains('\x1b'));
        assert!(table(&checks, true).contains("\x1b[32mok     \x1b[0m"));
    }

    #[test]
    fn json_has_every_field() {
        let check = Check::weak("a", "b").fix("c");
        let expected = json!({"name": "a", "verdict": "weak", "found": "b", "fix": "c"});
        assert_eq!(check.json(), expected);
        assert!(Check::ok("a", "b").json()["fix"].is_null());
    }
}
