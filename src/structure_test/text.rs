//! Patterns that a file or an output must or must not match.

use crate::pattern::Pattern;

/// The length of the part of a file or an output that is shown.
const SHOWN_BYTES: usize = 2000;

/// Returns how `bytes` differ from the expectation. `what` names them.
#[must_use]
pub fn check(what: &str, bytes: &[u8], expected: &[Pattern], excluded: &[Pattern]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let missing = expected.iter().filter(|pattern| !pattern.matches(&text));
    let unwanted = excluded.iter().filter(|pattern| pattern.matches(&text));
    missing
        .map(|pattern| format!("{what}: nothing matches the expected `{pattern}`"))
        .chain(
            unwanted.map(|pattern| format!("{what}: something matches the excluded `{pattern}`")),
        )
        .collect()
}

/// Formats the beginning of `bytes` on one line. `what` names them.
#[must_use]
pub fn shown(what: &str, bytes: &[u8]) -> String {
    let (start, rest) = bytes.split_at(bytes.len().min(SHOWN_BYTES));
    let start = String::from_utf8_lossy(start);
    if rest.is_empty() {
        format!("{what}: {start:?}")
    } else {
        format!("{what}: {start:?} and {} more bytes", rest.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_truncated() {
        let long = shown("it", &[b'x'; SHOWN_BYTES + 3]);
        assert!(long.ends_with("x\" and 3 more bytes"), "{long}");
    }
}
