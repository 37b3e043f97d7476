//! Putting Rust source together.

use std::fmt::Write;

use crate::Error;

/// The source, formatted, and where it is from.
pub(crate) fn source_of(file: &str, source: &str) -> Result<String, Error> {
    let header = format!("// Generated from {file}: do not edit.\n\n");
    Ok(header + &prettyplease::unparse(&syn::parse_file(source)?))
}

/// What the author says, or else this.
pub(crate) fn or(documentation: &str, otherwise: String) -> String {
    match documentation {
        "" => otherwise,
        text => text.to_owned(),
    }
}

/// Documentation as attributes, which cannot be broken by what the text holds.
pub(crate) fn attributes(text: &str) -> String {
    text.lines().fold(String::new(), |mut all, line| {
        let space = if line.is_empty() { "" } else { " " };
        let _ = writeln!(all, "#[doc = {:?}]", format!("{space}{line}"));
        all
    })
}
