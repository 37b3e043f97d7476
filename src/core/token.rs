//! Names of loaded code and of executions.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

/// Names code that a service has loaded. Valid in that service only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CodeToken {
    service: u32,
    code: u32,
}

impl CodeToken {
    /// Returns the token of the code with this number in the service with this number.
    #[must_use]
    pub fn new(service: u32, code: u32) -> Self {
        Self { service, code }
    }

    /// Returns the number of the code in its service.
    #[must_use]
    pub fn number(self) -> u32 {
        self.code
    }
}

impl fmt::Display for CodeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "code-{}-{}", self.service, self.code)
    }
}

impl FromStr for CodeToken {
    type Err = InvalidToken;

    /// Reads the text that [`Display`](fmt::Display) writes, for callers that can only keep text.
    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let numbers = text.strip_prefix("code-").and_then(|it| it.split_once('-'));
        let parsed = numbers
            .and_then(|(service, code)| Some(Self::new(service.parse().ok()?, code.parse().ok()?)));
        parsed.ok_or_else(|| InvalidToken(text.to_owned()))
    }
}

/// A text that is not the name of loaded code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid code token `{0}`; use one that loading returned")]
pub struct InvalidToken(String);

/// Names one execution, for logs. The UDF never sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExecutionId(u64);

impl ExecutionId {
    /// Returns an id that no other execution of this process has.
    #[must_use]
    pub fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl fmt::Display for ExecutionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "execution-{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_as_text() {
        let token = CodeToken::new(7, u32::MAX);
        assert_eq!(token.to_string().parse(), Ok(token));
    }

    #[test]
    fn text_that_is_not_a_token_is_refused() {
        for text in [
            "",
            "code",
            "code-1",
            "code-1-",
            "code-1-2-3",
            "code--1-2",
            "execution-1",
            "code-1-4294967296",
        ] {
            let error = text.parse::<CodeToken>().unwrap_err().to_string();
            assert!(error.contains("invalid code token"), "{error}");
        }
    }
}
