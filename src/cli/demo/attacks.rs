//! Requests to a hostile program, and what became of them.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use roma_byob::{CodeToken, ExecuteOptions, Fault, Outcome, Service};

/// How long a hostile request may take.
const DEADLINE: Duration = Duration::from_millis(500);

/// An attack in words, and the request for it: the hostile program's trick, and its argument.
pub struct Attack {
    pub what: &'static str,
    trick: &'static str,
    argument: &'static str,
}

/// Attacks that the sandboxes refuse at every filter level.
pub const REFUSED: [Attack; 5] = [
    Attack::new("reads /etc/passwd of this machine", "read_host_file").with("/etc/passwd"),
    Attack::new("sends a secret over the network", "reach_name_service"),
    Attack::new("changes its own program", "write_own_program"),
    Attack::new("becomes root", "become_root"),
    Attack::new("kills all processes that it can reach", "kill_everyone"),
];

/// An attack that only the deadline ends.
pub const ENDLESS: Attack = Attack::new("starts four processes that never end", "hang_as_a_tree");

/// A request that the hostile program answers.
const HARMLESS: Attack = Attack::new("asks for its process id", "be_another_than_one");

/// What the hostile program gained by an attack, as it says itself.
#[derive(Debug, PartialEq, Eq)]
pub enum Gain {
    Refused(String),
    Nothing,
    Everything(String),
}

/// The failure of a request.
#[derive(Debug)]
pub struct Failed {
    pub error: String,
    pub fault: Fault,
    /// How the process ended.
    pub end: String,
    pub after: Duration,
}

impl Attack {
    const fn new(what: &'static str, trick: &'static str) -> Self {
        Self {
            what,
            trick,
            argument: "",
        }
    }

    const fn with(self, argument: &'static str) -> Self {
        Self { argument, ..self }
    }

    /// Plays it, and returns what it gained.
    pub async fn gain(&self, service: &Service, code: CodeToken) -> Result<Gain> {
        let answer = self.played(service, code).await.result?;
        Gain::parse(&String::from_utf8_lossy(&answer))
    }

    /// Plays it, and returns how it failed.
    pub async fn failed(&self, service: &Service, code: CodeToken) -> Result<Failed> {
        let since = Instant::now();
        let outcome = self.played(service, code).await;
        let after = since.elapsed();
        let Err(error) = outcome.result else {
            bail!(
                "the hostile program answered, and should not have: {}",
                self.what
            );
        };
        let exit = outcome.report.exit.context("the process was lost")?;
        Ok(Failed {
            fault: error.fault(),
            error: error.to_string(),
            end: exit.status.to_string(),
            after,
        })
    }

    async fn played(&self, service: &Service, code: CodeToken) -> Outcome {
        let request = format!("{} demo {}", self.trick, self.argument);
        let options = ExecuteOptions {
            queue_timeout: Duration::from_secs(30),
            deadline: DEADLINE,
            ..ExecuteOptions::default()
        };
        service.execute(&code, request, options).outcome().await
    }
}

/// Sends the hostile program a request that it answers, and returns how long that took.
pub async fn answered(service: &Service, code: CodeToken) -> Result<Duration> {
    let since = Instant::now();
    let gain = HARMLESS.gain(service, code).await?;
    ensure!(gain == Gain::Nothing, "an unexpected answer: {gain:?}");
    Ok(since.elapsed())
}

impl Gain {
    /// Parses an answer of the hostile program.
    fn parse(answer: &str) -> Result<Self> {
        let (kind, rest) = answer.split_once(' ').unwrap_or((answer, ""));
        Ok(match kind {
            "errno" => Self::Refused(without_number(rest.parse().context("an error number")?)),
            "nothing" => Self::Nothing,
            _ => Self::Everything(rest.to_owned()),
        })
    }
}

/// Returns the words for an error number.
fn without_number(errno: i32) -> String {
    let text = std::io::Error::from_raw_os_error(errno).to_string();
    let words = text.split(" (os error").next();
    words.unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_the_hostile_program_are_understood() {
        let gain = |answer: &str| Gain::parse(answer).unwrap();
        let refused = Gain::Refused("Operation not permitted".into());
        assert_eq!(gain("errno 1"), refused);
        assert_eq!(gain("nothing"), Gain::Nothing);
        assert_eq!(gain("done"), Gain::Everything(String::new()));
        assert_eq!(gain("done 9 bytes"), Gain::Everything("9 bytes".into()));
        assert!(Gain::parse("errno what").is_err());
    }
}
