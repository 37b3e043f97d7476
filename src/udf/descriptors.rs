//! Takes the descriptors that this process inherited.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{FromRawFd, IntoRawFd, RawFd};
use std::os::unix::fs::FileTypeExt;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Error, HostError};

/// The descriptor for calls of the host, if the code was loaded with host functions.
const HOST: RawFd = 4;

/// Whether the descriptor has been taken.
static TAKEN: AtomicBool = AtomicBool::new(false);
static HOST_TAKEN: AtomicBool = AtomicBool::new(false);

/// Takes the descriptor that the process's arguments name, once.
pub(crate) fn take_descriptor() -> Result<File, Error> {
    let descriptor = descriptor(std::env::args_os().skip(1))?;
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Err(Error::AlreadyTaken);
    }
    adopt(descriptor)
}

/// Takes the descriptor for calls of the host, once.
pub(crate) fn take_host_descriptor() -> Result<File, HostError> {
    if HOST_TAKEN.swap(true, Ordering::Relaxed) {
        return Err(HostError::AlreadyTaken);
    }
    adopt_socket(HOST)
}

fn adopt_socket(descriptor: RawFd) -> Result<File, HostError> {
    let file = adopt(descriptor).map_err(|_| HostError::NotOffered)?;
    match file.metadata() {
        Ok(metadata) if metadata.file_type().is_socket() => Ok(file),
        _ => {
            // This descriptor has another owner: do not close it.
            let _ = file.into_raw_fd();
            Err(HostError::NotOffered)
        }
    }
}

/// Returns the descriptor, which is the first argument. The server team defines the further arguments.
fn descriptor(mut arguments: impl Iterator<Item = OsString>) -> Result<RawFd, Error> {
    let argument = arguments.next().ok_or(Error::NoArgument)?;
    parse(&argument).ok_or(Error::InvalidDescriptor { argument })
}

fn parse(argument: &OsString) -> Option<RawFd> {
    let digits = argument.to_str()?;
    let is_decimal = digits.bytes().all(|byte| byte.is_ascii_digit());
    // The standard library owns the standard streams.
    let number = digits.parse().ok().filter(|&number: &RawFd| number > 2);
    number.filter(|_| is_decimal)
}

#[allow(unsafe_code)]
fn adopt(descriptor: RawFd) -> Result<File, Error> {
    // SAFETY: the parent process opened the descriptor for this process, nothing else here uses its
    // number, and `TAKEN` or `HOST_TAKEN` lets this happen once. If the descriptor is not open, the
    // owner is given up below and closes nothing.
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
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn of(arguments: &[&str]) -> Result<RawFd, Error> {
        descriptor(arguments.iter().map(OsString::from))
    }

    #[test]
    fn a_number_above_the_standard_streams_is_taken() {
        assert_eq!(of(&["3"]).unwrap(), 3);
        assert_eq!(of(&["1023"]).unwrap(), 1023);
    }

    #[test]
    fn further_arguments_are_ignored() {
        assert_eq!(of(&["3", "4", "--model=small"]).unwrap(), 3);
    }

    #[test]
    fn a_missing_argument_is_refused() {
        let error = of(&[]).unwrap_err();
        assert!(matches!(error, Error::NoArgument), "{error}");
    }

    #[test]
    fn an_argument_that_is_not_a_descriptor_number_is_refused() {
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

    #[test]
    fn only_a_socket_is_taken_as_the_connection_to_the_host() {
        let (_host, udf) = UnixStream::pair().unwrap();
        assert!(adopt_socket(udf.into_raw_fd()).is_ok());
        let file = File::open("/dev/null").unwrap();
        for descriptor in [file.as_raw_fd(), RawFd::MAX] {
            let error = adopt_socket(descriptor).unwrap_err();
            assert!(matches!(error, HostError::NotOffered), "{error}");
        }
        assert!(file.metadata().is_ok(), "the descriptor was closed");
    }
}
