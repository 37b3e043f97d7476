//! What a process prints, kept to a bounded tail.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::reactor::watch as watched;

/// How long the last byte may take after a process is gone.
const LAST_BYTE: Duration = Duration::from_secs(2);

/// The end of what a process prints. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct LogCapture {
    shared: Arc<Shared>,
    ended: watch::Receiver<bool>,
}

#[derive(Debug)]
struct Shared {
    tail: Mutex<Tail>,
}

#[derive(Debug)]
struct Tail {
    bytes: VecDeque<u8>,
    limit: usize,
    dropped: u64,
    closed: bool,
}

/// The captured output of one execution.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogTail {
    /// The last bytes; invalid UTF-8 is replaced.
    pub text: String,
    /// How many bytes came before them and were dropped.
    pub dropped: u64,
}

impl LogCapture {
    /// Reads from `pipe` until its other end is closed everywhere. The process never waits for room:
    /// all is read, and the last `limit` bytes are kept.
    pub(crate) fn start(pipe: OwnedFd, limit: usize) -> io::Result<Self> {
        let (done, ended) = watch::channel(false);
        let tail = Tail {
            bytes: VecDeque::new(),
            limit,
            dropped: 0,
            closed: false,
        };
        let shared = Arc::new(Shared {
            tail: Mutex::new(tail),
        });
        let pipe = watched(pipe, Interest::READABLE)?;
        let sink = Arc::clone(&shared);
        tokio::spawn(async move {
            drain(&pipe, &sink).await;
            let _ = done.send(true);
        });
        Ok(Self { shared, ended })
    }

    /// Keeps nothing from here on; what comes is read and dropped.
    pub(crate) fn stop_keeping(&self) {
        let mut tail = self.shared.lock();
        tail.closed = true;
        tail.bytes = VecDeque::new();
    }

    /// What is kept when the last byte is in, for a process that is gone or about to be.
    pub(crate) async fn whole(&mut self) -> LogTail {
        // Whatever still holds the pipe dies with the process: the limit is only for a sandbox that
        // does not do what it should.
        let _ = timeout(LAST_BYTE, self.ended.wait_for(|ended| *ended)).await;
        self.tail()
    }

    /// What is kept so far.
    pub(crate) fn tail(&self) -> LogTail {
        let mut tail = self.shared.lock();
        let text = String::from_utf8_lossy(tail.bytes.make_contiguous()).into_owned();
        LogTail {
            text,
            dropped: tail.dropped,
        }
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        if self.closed {
            return;
        }
        self.bytes.extend(bytes);
        let excess = self.bytes.len().saturating_sub(self.limit);
        self.bytes.drain(..excess);
        self.dropped += excess as u64;
    }
}

async fn drain(pipe: &AsyncFd<OwnedFd>, sink: &Shared) {
    loop {
        let Ok(mut guard) = pipe.readable().await else {
            return;
        };
        match guard.try_io(|pipe| read_some(pipe.get_ref(), sink)) {
            Ok(Ok(0)) => return,
            Ok(Err(e)) if e.kind() != io::ErrorKind::Interrupted => return,
            _ => {}
        }
    }
}

fn read_some(pipe: &OwnedFd, sink: &Shared) -> io::Result<usize> {
    let mut buffer = [0; 16 * 1024];
    let count = nix::unistd::read(pipe, &mut buffer)?;
    sink.lock().push(&buffer[..count]);
    Ok(count)
}

/// A pipe for what a process prints: the host's end, which never blocks, and the end to hand out.
pub(crate) fn log_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&read, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((read, write))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Write;

    #[tokio::test]
    async fn the_last_bytes_are_kept_and_the_others_counted() {
        let (read, write) = log_pipe().unwrap();
        let mut log = LogCapture::start(read, 5).unwrap();
        let writer = tokio::task::spawn_blocking(move || {
            // More than a pipe holds: the writer must never wait for someone to look.
            File::from(write).write_all(&[b'x'; 200_000]).unwrap();
        });
        writer.await.unwrap();
        assert_eq!(
            log.whole().await,
            LogTail {
                text: "xxxxx".into(),
                dropped: 199_995
            }
        );
    }

    #[tokio::test]
    async fn nothing_is_kept_after_the_stop() {
        let (read, write) = log_pipe().unwrap();
        let mut log = LogCapture::start(read, 100).unwrap();
        log.stop_keeping();
        File::from(write).write_all(b"private data").unwrap();
        assert_eq!(log.whole().await.text, "");
    }
}
