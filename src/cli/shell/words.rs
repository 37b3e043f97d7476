//! Splitting of a line into words.

use serde_json::Value;

/// Why a line cannot be split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Uncut {
    /// More lines may complete it.
    Incomplete(String),
    /// No further line can.
    Wrong(String),
}

/// Splits a line at its spaces. A JSON object and a quoted text are one word each; a comment has
/// none.
pub fn cut(line: &str) -> Result<Vec<String>, Uncut> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    if rest.starts_with('#') {
        return Ok(words);
    }
    while let Some(first) = rest.chars().next() {
        let (word, after) = match first {
            '{' => json(rest)?,
            '"' | '\'' => quoted(rest, first)?,
            _ => plain(rest),
        };
        if after.starts_with(|c: char| !c.is_whitespace()) {
            return Err(Uncut::Wrong(format!("a space is missing after {word}")));
        }
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    Ok(words)
}

fn json(text: &str) -> Result<(&str, &str), Uncut> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    match values.next() {
        Some(Ok(_)) => Ok(text.split_at(values.byte_offset())),
        Some(Err(error)) if !error.is_eof() => Err(Uncut::Wrong(format!("bad JSON: {error}"))),
        _ => Err(Uncut::Incomplete("the JSON does not end".to_owned())),
    }
}

fn quoted(text: &str, quote: char) -> Result<(&str, &str), Uncut> {
    text[1..]
        .split_once(quote)
        .ok_or_else(|| Uncut::Wrong(format!("the other {quote} is missing")))
}

fn plain(text: &str) -> (&str, &str) {
    text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_separate_words_but_not_within_json_and_quotes() {
        let words = |line| cut(line).unwrap();
        assert_eq!(words("  load  a.bin\t8 "), ["load", "a.bin", "8"]);
        assert_eq!(
            words(r#"run {"a": "} {"} out"#),
            ["run", r#"{"a": "} {"}"#, "out"]
        );
        assert_eq!(words(r#"load "a b" 'c "d'"#), ["load", "a b", "c \"d"]);
        assert_eq!(
            words("run {\n\"a\": [1,\n2]}"),
            ["run", "{\n\"a\": [1,\n2]}"]
        );
        assert!(words("   ").is_empty());
        assert!(words(" # don't {").is_empty());
    }

    #[test]
    fn json_that_does_not_end_may_go_on_in_the_next_line() {
        assert!(matches!(cut("run {\"a\": [1,"), Err(Uncut::Incomplete(_))));
        assert!(matches!(cut("run {\"a\""), Err(Uncut::Incomplete(_))));
        assert!(matches!(cut("run {a"), Err(Uncut::Wrong(_))));
        assert!(matches!(cut("load \"a"), Err(Uncut::Wrong(_))));
        assert!(matches!(cut("run {}x"), Err(Uncut::Wrong(_))));
    }
}
