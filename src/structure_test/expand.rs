//! Variables in paths, commands and values of variables, as Go's `os.Expand` reads them.

use std::collections::BTreeMap;

/// Replaces `$NAME` and `${NAME}` by the values of `variables`. A variable that is not set is
/// empty.
#[must_use]
pub fn expand(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        rest = match name(after) {
            Some((name, rest)) => {
                out.push_str(variables.get(name).map_or("", String::as_str));
                rest
            }
            None => {
                out.push('$');
                after
            }
        };
    }
    out + rest
}

/// Splits the text after a dollar sign into the variable's name and the rest.
fn name(text: &str) -> Option<(&str, &str)> {
    if let Some(inner) = text.strip_prefix('{') {
        return Some(inner.split_once('}').unwrap_or(("", inner)));
    }
    // The shell's special variables, such as `$?`, have one character.
    if text.starts_with(|first: char| "*#$@!?-".contains(first) || first.is_ascii_digit()) {
        return Some(text.split_at(1));
    }
    let end = text
        .find(|letter: char| letter != '_' && !letter.is_ascii_alphanumeric())
        .unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_as_go_does() {
        let variables = BTreeMap::from([
            ("A".to_owned(), "1".to_owned()),
            ("LONG_2".to_owned(), "x".to_owned()),
        ]);
        for (text, expanded) in [
            ("$A", "1"),
            ("/${A}/$LONG_2/b", "/1/x/b"),
            ("${A", "A"),
            ("$NONE-", "-"),
            ("100$", "100$"),
            ("$ A$/", "$ A$/"),
            ("$?$$A$1", "A"),
            ("${}é", "é"),
        ] {
            assert_eq!(expand(text, &variables), expanded, "{text}");
        }
    }
}
