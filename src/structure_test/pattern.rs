//! Regular expressions in Go's syntax, which test files use, translated for the crate `regex`.
//!
//! The syntaxes differ in a few characters. In Go, a brace that does not begin a count and a
//! bracket in a class are literals, and `\d`, `\s`, `\w` and `\b` match ASCII only.

use std::fmt;

use regex::Regex;
use serde::de::{Deserialize, Deserializer, Error};

/// A compiled expression, which prints as it was written.
#[derive(Debug)]
pub struct Pattern {
    written: String,
    regex: Regex,
}

impl Pattern {
    /// Compiles an expression.
    pub fn new(written: &str) -> Result<Self, regex::Error> {
        let regex = Regex::new(&translated(written))?;
        Ok(Self {
            written: written.to_owned(),
            regex,
        })
    }

    /// Returns whether it matches anywhere in `text`.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.written.fmt(to)
    }
}

impl<'a> Deserialize<'a> for Pattern {
    fn deserialize<D: Deserializer<'a>>(from: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}

fn translated(go: &str) -> String {
    let mut out = String::new();
    let mut rest = go;
    while let Some(first) = rest.chars().next() {
        let taken = match first {
            '\\' => escape(rest, &mut out),
            '[' => class(rest, &mut out),
            '{' if count(rest).is_none() => {
                out.push_str("\\{");
                1
            }
            _ => {
                out.push(first);
                first.len_utf8()
            }
        };
        rest = &rest[taken..];
    }
    out
}

/// Returns the length of the `{2}`, `{2,}` or `{2,3}` at the start of `text`.
fn count(text: &str) -> Option<usize> {
    let (inner, _) = text.strip_prefix('{')?.split_once('}')?;
    let (least, most) = inner.split_once(',').unwrap_or((inner, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    (!least.is_empty() && digits(least) && digits(most)).then_some(inner.len() + 2)
}

/// Translates the escape at the start of `text`. Returns its length.
fn escape(text: &str, out: &mut String) -> usize {
    let Some(escaped) = text[1..].chars().next() else {
        out.push('\\');
        return 1;
    };
    match escaped {
        'd' => out.push_str("[0-9]"),
        'D' => out.push_str("[^0-9]"),
        's' => out.push_str("[\\t\\n\\x0c\\r ]"),
        'S' => out.push_str("[^\\t\\n\\x0c\\r ]"),
        'w' => out.push_str("[0-9A-Za-z_]"),
        'W' => out.push_str("[^0-9A-Za-z_]"),
        'b' => out.push_str("(?-u:\\b)"),
        'B' => out.push_str("(?-u:\\B)"),
        // In `regex` these escapes are word boundaries.
        '<' | '>' => out.push(escaped),
        'Q' => {
            let quoted = text[2..].split("\\E").next().unwrap_or_default();
            out.push_str(&regex::escape(quoted));
            return (2 + quoted.len() + 2).min(text.len());
        }
        _ => out.extend(['\\', escaped]),
    }
    1 + escaped.len_utf8()
}

/// Translates the class, such as `[^a-z]`, at the start of `text`. Returns its length.
fn class(text: &str, out: &mut String) -> usize {
    let opening = if text.starts_with("[^") { "[^" } else { "[" };
    out.push_str(opening);
    let mut at = opening.len();
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        if first == ']' && at > opening.len() {
            out.push(']');
            return at + 1;
        }
        at += match (first, posix_class(rest)) {
            ('\\', _) => escape(rest, out),
            (_, Some(name)) => {
                out.push_str(name);
                name.len()
            }
            _ => {
                // Some of these are operators on classes in `regex`.
                if "[]&~".contains(first) || rest.starts_with("--") {
                    out.push('\\');
                }
                out.push(first);
                first.len_utf8()
            }
        };
    }
    at
}

/// Returns the class such as `[:alpha:]` at the start of `text`.
fn posix_class(text: &str) -> Option<&str> {
    let end = text.strip_prefix("[:")?.find(":]")?;
    Some(&text[..end + 4])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::new(pattern).unwrap().matches(text)
    }

    #[test]
    fn a_pattern_matches_anywhere_unless_anchored() {
        assert!(matches("b+", "abbc"));
        assert!(!matches("^b", "a\nb"));
        assert!(!matches("a$", "a\nb"));
        assert!(matches("(?m)^b$", "a\nb\nc"));
    }

    #[test]
    fn a_dot_stops_at_the_end_of_the_line() {
        assert!(!matches("a.*b", "a\nb"));
        assert!(matches("(?s)a.*b", "a\nb"));
    }

    #[test]
    fn braces_without_a_count_are_literals() {
        assert!(matches(
            r#"{code_token=.*, response={"message":"Hi"}}"#,
            r#"{code_token=1, response={"message":"Hi"}}"#
        ));
        assert!(matches("^a{2}$", "aa"));
        assert!(matches("^a{2,}b{1,2}$", "aaabb"));
        assert!(matches("^a{,2}$", "a{,2}"));
        assert!(matches(r"^\{x\}$", "{x}"));
        assert!(matches("^a{b", "a{b"));
    }

    #[test]
    fn escapes_have_gos_meaning() {
        assert!(matches(r"^\/path\/\<a\>$", "/path/<a>"));
        assert!(matches(r"^\d\w\s\S$", "1a b"));
        assert!(!matches(r"^\d$", "٣"));
        assert!(matches(r"\bé", "aé"));
        assert!(matches(r"^\Qa.*{b}\Ec$", "a.*{b}c"));
        assert!(matches(r"\Qa.b", "a.b"));
        assert!(matches("^a\\\n b$", "a\n b"));
        assert!(matches("^Exactly one\\n$", "Exactly one\n"));
    }

    #[test]
    fn classes_have_gos_meaning() {
        assert!(matches("^[[]$", "["));
        assert!(matches("^[]a]+$", "a]"));
        assert!(matches("^[^]a]$", "b"));
        assert!(matches("^[&&~~]+$", "&~"));
        assert!(matches("^[--/]$", "."));
        assert!(matches(r"^[\d_]+$", "1_"));
        assert!(matches(r"^[[:alpha:]{]+$", "a{"));
        assert!(matches(r"^[^\s]$", "a"));
    }

    #[test]
    fn an_invalid_pattern_is_refused() {
        for pattern in ["(", "a**b(", "[a", "\\"] {
            assert!(Pattern::new(pattern).is_err(), "{pattern}");
        }
    }
}
