//! Formats generated Rust source.

use std::fmt::Write;

use crate::Error;

/// Returns the formatted source with a header that names its origin.
pub(crate) fn source_of(file: &str, source: &str) -> Result<String, Error> {
    let header = format!("// Generated from {file}: do not edit.\n\n");
    let formatted = prettyplease::unparse(&syn::parse_file(source)?);
    Ok(header + &with_room_between_items(&formatted))
}

/// Puts an empty line before each item except the first of its block.
fn with_room_between_items(source: &str) -> String {
    let mut spaced = String::with_capacity(source.len());
    let mut before = "";
    for line in source.lines().map(str::trim_end) {
        if begins_item(line.trim_start()) && !belong_together(before, line.trim_start()) {
            spaced.push('\n');
        }
        let _ = writeln!(spaced, "{line}");
        before = line.trim_start();
    }
    spaced
}

fn begins_item(line: &str) -> bool {
    let beginnings = ["///", "#[", "pub ", "impl", "trait ", "fn ", "use "];
    beginnings.iter().any(|it| line.starts_with(it))
}

/// Returns whether no empty line may separate two lines: they belong to one item or list, or the first opens
/// a block.
fn belong_together(before: &str, line: &str) -> bool {
    let attached = ["///", "#["].iter().any(|it| before.starts_with(it));
    let both_use = before.starts_with("use ") && line.starts_with("use ");
    attached || both_use || before.is_empty() || before.ends_with(['{', ','])
}

/// Returns the author's text, or `otherwise` if there is none.
pub(crate) fn or(documentation: &str, otherwise: String) -> String {
    match documentation {
        "" => otherwise,
        text => text.to_owned(),
    }
}

/// Returns documentation as attributes, which no text can break.
pub(crate) fn attributes(text: &str) -> String {
    text.lines().fold(String::new(), |mut all, line| {
        let space = if line.is_empty() { "" } else { " " };
        let _ = writeln!(all, "#[doc = {:?}]", format!("{space}{line}"));
        all
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_lines_separate_items_but_not_their_parts() {
        let source = "//! A crate.\nuse a::A; use b::B; /// A type.\n#[derive(Debug)] pub struct S { a: A, /// B.\n pub b: B }
            impl S { /// One.\npub fn one() { let _ = 1; } fn two() {} }
            trait T { fn three(); /// Four.\nfn four(); }";
        let expected = "\
// Generated from a.proto: do not edit.

//! A crate.

use a::A;
use b::B;

/// A type.
#[derive(Debug)]
pub struct S {
    a: A,
    /// B.
    pub b: B,
}

impl S {
    /// One.
    pub fn one() {
        let _ = 1;
    }

    fn two() {}
}

trait T {
    fn three();

    /// Four.
    fn four();
}
";
        assert_eq!(source_of("a.proto", source).unwrap(), expected);
    }
}
