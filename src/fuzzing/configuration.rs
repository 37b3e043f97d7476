//! Names of modes, platforms and filter levels.

use std::fmt::Display;
use std::str::FromStr;

use roma_byob::{Mode, Platform, SyscallFilter};

/// A value has one name, and the error for an unknown name contains it.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    check::<Mode>(text);
    check::<Platform>(text);
    check::<SyscallFilter>(text);
}

fn check<T: FromStr<Err: Display> + Display>(text: &str) {
    match text.parse::<T>() {
        Ok(value) => assert_eq!(value.to_string(), text),
        Err(error) => assert!(error.to_string().contains(text), "{error}"),
    }
}
