//! Leaves descriptors to the rest of this process, whatever the number of workers.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit};

/// The share of the descriptors of this process that workers leave free: one in so many.
const SHARE: u64 = 8;
/// More than this are not left free.
const MOST: u64 = 1024;

/// Fails with `EMFILE` if the descriptors that were just made leave too few to the rest of this process.
pub(crate) fn check(made: &[OwnedFd]) -> io::Result<()> {
    let (limit, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
    // Each new descriptor has the lowest free number: all numbers below it are taken.
    let highest = made.iter().map(AsRawFd::as_raw_fd).max().unwrap_or(0);
    match u64::try_from(highest).is_ok_and(|highest| highest < usable(limit)) {
        true => Ok(()),
        false => Err(Errno::EMFILE.into()),
    }
}

/// Returns how many of the descriptors that a process may have workers may take.
fn usable(limit: u64) -> u64 {
    limit - (limit / SHARE).min(MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_eighth_of_the_descriptors_is_left_free_up_to_a_thousand() {
        assert_eq!(usable(1024), 896);
        assert_eq!(usable(20_000), 18_976);
        assert_eq!(usable(u64::MAX), u64::MAX - 1024);
        assert_eq!(usable(3), 3);
        assert_eq!(usable(0), 0);
    }
}
