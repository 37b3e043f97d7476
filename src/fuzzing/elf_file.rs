//! The inspection of a binary.

use roma_sandbox::elf::{Binary, Elf, inspect};

/// Strings that are read from a file are bounded and occur in the file.
pub fn run(file: &[u8]) {
    match inspect(file) {
        Ok(Binary::Elf(elf)) => check(file, &elf),
        Ok(Binary::Script { interpreter }) => {
            assert!(file.starts_with(b"#!"));
            check_string(file, &interpreter);
            assert!(!interpreter.is_empty());
        }
        Err(error) => assert!(error.to_string().len() < 200),
    }
}

fn check(file: &[u8], elf: &Elf) {
    assert!(file.len() >= 58, "the header alone is longer");
    assert!(elf.needed.len() <= 1024);
    for string in elf.interpreter.iter().chain(&elf.needed) {
        check_string(file, string);
        assert!(!string.contains('\0'));
    }
}

fn check_string(file: &[u8], string: &str) {
    // Each invalid byte becomes a replacement character of three bytes.
    assert!(string.len() <= 3 * 4096);
    let replaced = string.contains(char::REPLACEMENT_CHARACTER);
    let is_there = || {
        file.windows(string.len())
            .any(|part| part == string.as_bytes())
    };
    assert!(replaced || string.is_empty() || is_there());
}
