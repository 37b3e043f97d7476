//! Text of a UDF as people may see it.

use std::borrow::Cow;
use std::fmt::Write;

/// Returns a text that does nothing to a terminal or a log but appear in it.
///
/// A UDF chooses what it prints, and a terminal obeys some of it: escape sequences clear the screen, set
/// the title or feed the input. This replaces every control character other than line end and tab, and
/// every character that changes the direction of what follows, by its code as in JSON: `\u001b`. Other
/// characters stay, those of all languages too. JSON stays JSON with the same value.
///
/// ```
/// assert_eq!(roma_core::shown("a\x1b[31mb\n"), "a\\u001b[31mb\n");
/// ```
#[must_use]
pub fn shown(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match is_hidden(letter) {
            true => {
                // Writing to a string cannot fail. All of these characters have four digits.
                let _ = write!(escaped, "\\u{:04x}", u32::from(letter));
            }
            false => escaped.push(letter),
        }
    }
    Cow::Owned(escaped)
}

/// Returns whether a character is an instruction to what shows it.
fn is_hidden(letter: char) -> bool {
    match letter {
        '\n' | '\t' => false,
        // Line and paragraph separator: they end a line where `\n` alone should.
        '\u{2028}' | '\u{2029}' => true,
        // Embeddings, overrides and isolates of directions: what follows is shown in another order.
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        // C0, DEL and C1.
        other => other.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_text_of_any_language_stays_as_it_is() {
        let text =
            "zw\u{f6}lf, \u{5d0}\u{200f}, \u{4e09}, \u{1f980}\u{200d}\u{1f680}\n\tC:\\u001b\n";
        assert!(matches!(shown(text), Cow::Borrowed(same) if same == text));
    }

    #[test]
    fn all_control_characters_but_line_end_and_tab_are_escaped() {
        let controls = (0..0x20).chain(0x7f..0xa0).filter_map(char::from_u32);
        for control in controls.filter(|control| !"\n\t".contains(*control)) {
            let escaped = format!("a\\u{:04x}b", u32::from(control));
            assert_eq!(shown(&format!("a{control}b")), escaped);
        }
        assert_eq!(shown("\r\x1b]0;title\x07"), "\\u000d\\u001b]0;title\\u0007");
    }

    #[test]
    fn characters_that_change_the_direction_or_end_a_line_are_escaped() {
        let letters = "\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}\u{2028}\u{2029}";
        for letter in letters.chars() {
            let escaped = format!("\\u{:04x}", u32::from(letter));
            assert_eq!(shown(&letter.to_string()), escaped);
        }
    }

    #[test]
    fn what_is_escaped_already_stays() {
        let once = shown("\x1b[2J\u{9b}").into_owned();
        assert_eq!(shown(&once), once);
    }
}
