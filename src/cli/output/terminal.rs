//! Colours, progress and line breaks for a terminal.

use std::io::IsTerminal;

/// The width of the output in columns.
pub const WIDTH: usize = 80;

/// A colour, or a weight, that every terminal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    Red,
    Green,
    Yellow,
    Grey,
    Bold,
}

/// Returns whether standard output is a terminal that has colours, and `NO_COLOR` is not set.
pub fn colours() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    std::io::stdout().is_terminal() && !unwanted && !dumb
}

/// Returns the text in a colour if `colours` is true.
pub fn painted(text: &str, colour: Colour, colours: bool) -> String {
    let code = match colour {
        Colour::Red => 31,
        Colour::Green => 32,
        Colour::Yellow => 33,
        Colour::Grey => 90,
        Colour::Bold => 1,
    };
    match colours {
        true => format!("\x1b[{code}m{text}\x1b[0m"),
        false => text.to_owned(),
    }
}

/// Shows what is being done, on a terminal only. The next call replaces the text.
pub fn progress(text: &str) {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K{text}");
    }
}

/// Removes the text of the last call of [`progress`].
pub fn end_progress() {
    progress("");
}

/// Breaks text into lines of at most `width` characters, between words if possible. Line
/// breaks of the text stay.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let lines = text.lines().flat_map(|line| wrapped_line(line, width));
    lines.collect()
}

fn wrapped_line(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let room = width.saturating_sub(lines.last().map_or(0, |line| line.chars().count()));
        if let Some(line) = lines.last_mut().filter(|line| !line.is_empty()) {
            if word.chars().count() < room {
                line.push(' ');
                line.push_str(word);
                continue;
            }
            lines.push(String::new());
        }
        push_broken(&mut lines, word, width);
    }
    lines
}

/// Starts a line with a word. A word that is too long is broken, a path between its parts.
fn push_broken(lines: &mut Vec<String>, word: &str, width: usize) {
    for part in word.split_inclusive('/') {
        let mut needed = part.chars().count();
        for letter in part.chars() {
            let used = lines.last().map_or(0, |line| line.chars().count());
            if used > 0 && used + needed.min(width) > width {
                lines.push(String::new());
            }
            needed = 1;
            if let Some(line) = lines.last_mut() {
                line.push(letter);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("one two three", 8), ["one two", "three"]);
        assert_eq!(wrapped("a\nb", 8), ["a", "b"]);
        assert!(wrapped("", 8).is_empty());
    }

    #[test]
    fn words_that_are_too_long_are_broken() {
        assert_eq!(wrapped("a /very/long", 8), ["a", "/very/", "long"]);
        assert_eq!(wrapped("ab/incredible", 6), ["ab/", "incred", "ible"]);
    }
}
