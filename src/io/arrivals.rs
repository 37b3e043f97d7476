//! Which of many connections have something to read, without a task for each.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::watch::watch;

/// How many connections are returned at once.
const AT_ONCE: usize = 64;

/// Connections that are watched until the first byte, or the end, of each.
#[derive(Debug)]
pub struct Arrivals {
    set: AsyncFd<Set>,
}

#[derive(Debug)]
struct Set(Epoll);

impl AsFd for Set {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.0.as_fd()
    }
}

impl AsRawFd for Set {
    fn as_raw_fd(&self) -> RawFd {
        self.0.0.as_raw_fd()
    }
}

impl Arrivals {
    /// Watches nothing yet.
    pub fn new() -> io::Result<Self> {
        let set = Set(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?);
        Ok(Self {
            set: watch(set, Interest::READABLE)?,
        })
    }

    /// Watches a connection, which keeps its `name`, until it is returned or closed.
    pub fn add(&self, connection: BorrowedFd<'_>, name: u64) -> io::Result<()> {
        let once = EpollFlags::EPOLLIN | EpollFlags::EPOLLONESHOT;
        Ok(self
            .set
            .get_ref()
            .0
            .add(connection, EpollEvent::new(once, name))?)
    }

    /// Waits for the first bytes or ends, and returns the names of their connections, each once.
    pub async fn next(&self) -> io::Result<Vec<u64>> {
        loop {
            let mut ready = self.set.readable().await?;
            let names = take(self.set.get_ref())?;
            if names.len() < AT_ONCE {
                // There are no others, which need not be asked for.
                ready.clear_ready();
            }
            if !names.is_empty() {
                return Ok(names);
            }
        }
    }
}

fn take(set: &Set) -> io::Result<Vec<u64>> {
    let mut events = [EpollEvent::empty(); AT_ONCE];
    let count = set.0.wait(&mut events, EpollTimeout::ZERO)?;
    Ok(events[..count].iter().map(EpollEvent::data).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::stream;

    #[tokio::test]
    async fn each_connection_is_returned_once_when_it_has_a_byte_or_ends() {
        let arrivals = Arrivals::new().unwrap();
        let mut pairs: Vec<_> = (0..200).map(|_| stream::pair().unwrap()).collect();
        for (name, (ours, _)) in (0..).zip(&pairs) {
            arrivals.add(ours.as_fd(), name).unwrap();
        }
        let (_, ended) = pairs.remove(199);
        drop(ended);
        for (_, theirs) in &pairs[..199] {
            nix::unistd::write(theirs, b"!").unwrap();
        }
        let mut seen = BTreeSet::new();
        while seen.len() < 199 {
            for name in arrivals.next().await.unwrap() {
                assert!(seen.insert(name), "{name} is returned twice");
            }
        }
        assert_eq!(seen, (0..199).collect(), "one is closed on both sides");
        nix::unistd::write(&pairs[0].1, b"!").unwrap();
        let (ours, theirs) = stream::pair().unwrap();
        arrivals.add(ours.as_fd(), 999).unwrap();
        drop(theirs);
        assert_eq!(arrivals.next().await.unwrap(), [999], "an end counts");
    }
}
