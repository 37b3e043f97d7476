//! Taking the descriptor that the arguments name.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{FromRawFd, IntoRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::Error;

/// Whether the descriptor has an owner already.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Takes the descriptor that the process's arguments name, once.
pub(crate) fn take_descriptor() -> Result<File, Error> {
    let descriptor = descriptor(std::env::args_os().skip(1))?;
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Err(Error::AlreadyTaken);
    }
    adopt(descriptor)
}

fn descriptor(arguments: impl Iterator<Item = OsString>) -> Result<RawFd, Error> {
    let mut arguments: Vec<_> = arguments.collect();
    match (arguments.pop(), arguments.len()) {
        (Some(argument), 0) => parse(&argument).ok_or(Error::InvalidDescriptor { argument }),
        (None, _) => Err(Error::ArgumentCount { count: 0 }),
        (Some(_), others) => Err(Error::ArgumentCount { count: others + 1 }),
    }
}

fn parse(argument: &OsString) -> Option<RawFd> {
    let digits = argument.to_str()?;
    let is_decimal = digits.bytes().all(|byte| byte.is_ascii_digit());
    // The standard streams have owners in the standard library.
    let number = digits.parse().ok().filter(|&number: &RawFd| number > 2);
    number.filter(|_| is_decimal)
}

#[allow(unsafe_code)]
fn adopt(descriptor: RawFd) -> Result<File, Error> {
    // SAFETY: whoever started this process opened the descriptor for it, nothing else here knows
    // its number, and `TAKEN` lets this happen once. Should nothing be open there, the owner is
    // given up below before it could close anything.
    let file = unsafe { File::from_raw_fd(descriptor) };
    match file.metadata() {
        Ok(_) => Ok(file),
        Err(source) => {
            let descriptor = file.into_raw_fd();
            Err(Error::NotOpen { descriptor, source })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(arguments: &[&str]) -> Result<RawFd, Error> {
        descriptor(arguments.iter().map(OsString::from))
    }

    #[test]
    fn one_number_above_the_standard_streams_is_taken() {
        assert_eq!(of(&["3"]).unwrap(), 3);
        assert_eq!(of(&["1023"]).unwrap(), 1023);
    }

    #[test]
    fn any_other_count_is_refused() {
        for arguments in [&[][..], &["3", "4"], &["3", "4", "5"]] {
            let error = of(arguments).unwrap_err();
            assert!(
                matches!(error, Error::ArgumentCount { count } if count == arguments.len()),
                "{error}"
            );
        }
    }

    #[test]
    fn anything_else_than_a_number_is_refused() {
        for argument in ["", "x", "3x", "+3", "-3", " 3", "0", "1", "2", "2147483648"] {
            let error = of(&[argument]).unwrap_err();
            assert!(
                matches!(error, Error::InvalidDescriptor { .. }),
                "{argument:?}: {error}"
            );
        }
    }

    #[test]
    fn a_closed_descriptor_is_refused() {
        let error = adopt(RawFd::MAX).unwrap_err();
        assert!(
            matches!(
                error,
                Error::NotOpen {
                    descriptor: RawFd::MAX,
                    ..
                }
            ),
            "{error}"
        );
    }
}
