//! The output of a process, bounded to its end.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use roma_core::LogTail;
use roma_io::watch as watch_fd;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;
use tokio::time::timeout;

/// How long to wait for the last byte after a process is gone.
const LAST_BYTE: Duration = Duration::from_secs(2);

/// Captures the end of the output of a process. Clones share it.
#[derive(Debug, Clone)]
pub struct LogCapture {
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

impl LogCapture {
    /// Reads from `pipe` until its other end is closed everywhere. Everything is read, so that the
    /// process never blocks; the last `limit` bytes are kept.
    pub fn start(pipe: OwnedFd, limit: usize) -> io::Result<Self> {
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
        let pipe = watch_fd(pipe, Interest::READABLE)?;
        let sink = Arc::clone(&shared);
        tokio::spawn(async move {
            drain(&pipe, &sink).await;
            let _ = done.send(true);
        });
        Ok(Self { shared, ended })
    }

    /// Drops everything from now on.
    pub fn stop_keeping(&self) {
        let mut tail = self.shared.lock();
        tail.closed = true;
        tail.bytes = VecDeque::new();
    }

    /// Waits for the last byte and returns what is kept, for a process that is gone or about to be.
    pub async fn whole(&mut self) -> LogTail {
        // All holders of the pipe die with the process; the limit is for a sandbox that fails.
        let _ = timeout(LAST_BYTE, self.ended.wait_for(|ended| *ended)).await;
        self.tail()
    }

    /// Returns what is kept so far.
    pub fn tail(&self) -> LogTail {
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

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use roma_io::stream::pipe;

    use super::*;

    #[tokio::test]
    async fn the_last_bytes_are_kept_and_the_others_are_counted() {
        let (read, write) = pipe().unwrap();
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
    async fn nothing_is_kept_after_stop_keeping() {
        let (read, write) = pipe().unwrap();
        let mut log = LogCapture::start(read, 100).unwrap();
        log.stop_keeping();
        File::from(write).write_all(b"private data").unwrap();
        assert_eq!(log.whole().await.text, "");
    }
}
