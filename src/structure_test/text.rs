//! What must and must not be in a file or an output.

use crate::pattern::Pattern;

/// Of a file or an output, so much is shown.
const SHOWN_BYTES: usize = 2000;

/// What is wrong with some bytes, called `what`.
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

/// The beginning of some bytes, called `what`, in a form that has one line.
#[must_use]
pub fn shown(what: &str, bytes: &[u8]) -> String {
    let (start, rest) = bytes.split_at(bytes.len().min(SHOWN_BYTES));
    let start = String::from_utf8_lossy(start);
    if rest.is_empty() {
        format!("{what}: {start:?}")
    } else {
        format!("{what}: {start:?} and {} bytes more", rest.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_long_is_cut() {
        let long = shown("it", &[b'x'; SHOWN_BYTES + 3]);
        assert!(long.ends_with("x\" and 3 bytes more"), "{long}");
    }
}
