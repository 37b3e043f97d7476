//! One request and one response over a worker's data connection.

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use bytes::Bytes;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, sendmsg};
use roma_protocol::byob::frame::{FrameDecoder, FrameError, LengthPrefix};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::stream::{peek, recv_some, try_recv};
use crate::watch::watch;

/// How much is read at once: most responses are small, and a buffer has to be cleared first.
const SMALL_READ: usize = 4 * 1024;
const LARGE_READ: usize = 64 * 1024;
/// How long to spin for a response: about as long as an idle processor takes to wake up.
const SPIN_TIME: Duration = Duration::from_micros(60);

/// Why there is no response.
#[derive(Debug)]
pub enum Broken {
    /// The worker closed the connection before it was ready, or before it sent a single byte.
    Closed,
    /// It sent bytes before any of the request was sent to it, other than the one that says it is ready.
    Early,
    /// What it sent is not a response.
    Frame(FrameError),
    /// This process cannot use the connection.
    Io(io::Error),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<FrameError> for Broken {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Missing => Self::Closed,
            other => Self::Frame(other),
        }
    }
}

/// Waits for the byte by which a worker says that it is ready.
pub async fn until_ready(data: BorrowedFd<'_>) -> Result<(), Broken> {
    let data = watch(data, Interest::READABLE)?;
    match recv_some(&data, &mut [0]).await? {
        0 => Err(Broken::Closed),
        _ => Ok(()),
    }
}

/// Returns whether a worker that was sent nothing yet has sent more than that it is ready. From one that
/// `is_ready` that byte was received already. Never waits.
///
/// What a worker sends after this look and before it gets the request cannot be told from a response to
/// it.
pub fn has_begun_to_answer(data: BorrowedFd<'_>, is_ready: bool) -> io::Result<bool> {
    let expected = usize::from(!is_ready);
    Ok(peek(data, &mut [0; 2])? > expected)
}

/// A request on its way to a worker.
#[derive(Debug)]
pub struct Outgoing {
    prefix: LengthPrefix,
    request: Bytes,
    sent: usize,
}

impl Outgoing {
    /// Nothing is sent yet.
    #[must_use]
    pub fn new(request: Bytes) -> Self {
        Self {
            prefix: LengthPrefix::new(request.len()),
            request,
            sent: 0,
        }
    }

    /// Returns whether the whole request is sent.
    #[must_use]
    pub fn is_sent(&self) -> bool {
        self.sent == self.prefix.as_bytes().len() + self.request.len()
    }

    /// Returns whether some of the request is sent.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.sent > 0
    }

    /// Sends as much of the request as the connection takes without blocking.
    pub fn send_some(&mut self, data: BorrowedFd<'_>) -> io::Result<()> {
        let prefix = self.prefix.as_bytes();
        while !self.is_sent() {
            let parts = [
                IoSlice::new(&prefix[self.sent.min(prefix.len())..]),
                IoSlice::new(&self.request[self.sent.saturating_sub(prefix.len())..]),
            ];
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
            match sendmsg::<()>(data.as_raw_fd(), &parts, &[], flags, None) {
                Ok(count) => self.sent += count,
                Err(Errno::EAGAIN) => break,
                // The worker does not read any more; what it has written still counts.
                Err(Errno::EPIPE | Errno::ECONNRESET) => {
                    self.sent = prefix.len() + self.request.len();
                }
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }
}

/// The host's side of the exchange with one worker that is ready. It reads while it writes, so that
/// neither side can ever wait for the other.
#[derive(Debug)]
pub struct Exchange<'a> {
    data: AsyncFd<BorrowedFd<'a>>,
    /// Watches for room. Most requests are sent at once and do without: being woken for room costs.
    room: Option<AsyncFd<OwnedFd>>,
    outgoing: Outgoing,
    decoder: FrameDecoder,
    /// The response is whole, or the connection at its end.
    is_over: bool,
}

impl<'a> Exchange<'a> {
    /// Borrows the connection for one request, of which some may be sent already.
    ///
    /// # Errors
    ///
    /// [`Broken::Early`] if none is sent yet and the worker has answered all the same.
    pub fn new(
        data: BorrowedFd<'a>,
        outgoing: Outgoing,
        max_response: usize,
    ) -> Result<Self, Broken> {
        if !outgoing.has_begun() && has_begun_to_answer(data, true)? {
            return Err(Broken::Early);
        }
        Ok(Self {
            data: watch(data, Interest::READABLE)?,
            room: None,
            outgoing,
            decoder: FrameDecoder::new(max_response),
            is_over: false,
        })
    }

    /// Sends as much of the request as the connection takes without blocking.
    pub fn send_some(&mut self) -> io::Result<()> {
        self.outgoing.send_some(*self.data.get_ref())
    }

    /// Waits until the whole request is sent, or the worker needs no more of it.
    pub async fn until_sent(&mut self) -> Result<(), Broken> {
        loop {
            self.send_some()?;
            if self.outgoing.is_sent() || self.try_receive()? {
                return Ok(());
            }
            self.until_readable_or_room().await?;
        }
    }

    /// Looks for the response for a moment without sleeping, because to sleep and be woken takes longer
    /// than many a UDF. Yields the processor to other threads.
    pub fn spin_for_response(&mut self) -> Result<(), Broken> {
        let until = Instant::now() + SPIN_TIME;
        while !self.try_receive()? && Instant::now() < until {
            std::thread::yield_now();
        }
        Ok(())
    }

    /// Waits for the whole response. An exchange has one: nothing may follow it.
    pub async fn until_answered(mut self) -> Result<Bytes, Broken> {
        while !self.try_receive()? {
            self.data.readable().await?.clear_ready();
        }
        let response = self.decoder.finish()?;
        match try_recv(*self.data.get_ref(), &mut [0]) {
            Ok(1..) => Err(Broken::Frame(FrameError::Trailing)),
            _ => Ok(response.into()),
        }
    }

    /// Reads all that is there. Returns whether nothing more is to come.
    fn try_receive(&mut self) -> Result<bool, Broken> {
        while !self.is_over {
            match self.receive_some() {
                Err(Broken::Io(e)) if e.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                result => self.is_over = result?,
            }
        }
        Ok(true)
    }

    /// Reads once. Returns whether the response is whole or the connection at its end.
    fn receive_some(&mut self) -> Result<bool, Broken> {
        match self.decoder.missing() {
            Some(SMALL_READ..) => self.receive::<LARGE_READ>(),
            _ => self.receive::<SMALL_READ>(),
        }
    }

    fn receive<const SIZE: usize>(&mut self) -> Result<bool, Broken> {
        let mut buffer = [0; SIZE];
        let count = try_recv(*self.data.get_ref(), &mut buffer)?;
        Ok(count == 0 || self.decoder.push(&buffer[..count])?)
    }

    /// Waits until it makes sense to read or to write again.
    async fn until_readable_or_room(&mut self) -> io::Result<()> {
        let room = match &self.room {
            Some(room) => room,
            None => {
                let copy = self.data.get_ref().try_clone_to_owned()?;
                self.room.insert(watch(copy, Interest::WRITABLE)?)
            }
        };
        // The caller has tried before it waits and tries again afterwards.
        tokio::select! {
            guard = self.data.readable() => guard?.clear_ready(),
            guard = room.writable() => guard?.clear_ready(),
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "exchange_test.rs"]
mod tests;
