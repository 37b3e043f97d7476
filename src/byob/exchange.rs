//! One request and one response over a worker's data connection.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use bytes::Bytes;
use nix::sys::socket::{MsgFlags, sendmsg};
use roma_protocol::frame::{FrameDecoder, FrameError, LengthPrefix};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::reactor::watch;
use crate::seqpacket::recv_from;

/// How much is read at once: most responses are small, and a buffer has to be cleared first.
const SMALL_READ: usize = 4 * 1024;
const LARGE_READ: usize = 64 * 1024;
/// How long to look out for a response: about as long as a processor takes to wake up.
const MOMENT: Duration = Duration::from_micros(60);

/// Why there is no response.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The worker closed the connection before it was ready, or before it sent a single byte.
    Closed,
    /// What it sent is no response.
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

/// The host's side of the conversation with one worker. It reads while it writes, so that neither
/// side can ever wait for the other.
#[derive(Debug)]
pub(crate) struct Exchange {
    data: AsyncFd<OwnedFd>,
    interest: Interest,
    prefix: LengthPrefix,
    request: Bytes,
    sent: usize,
    decoder: Option<FrameDecoder>,
    ready: bool,
    /// The response is whole, or the connection at its end.
    over: bool,
}

impl Exchange {
    /// Takes over the connection. With `ready`, the worker has said already that it is.
    pub(crate) fn new(
        data: OwnedFd,
        request: Bytes,
        max_response: usize,
        ready: bool,
    ) -> io::Result<Self> {
        Ok(Self {
            data: watch(data, Interest::READABLE)?,
            interest: Interest::READABLE,
            prefix: LengthPrefix::new(request.len()),
            request,
            sent: 0,
            decoder: Some(FrameDecoder::new(max_response)),
            ready,
            over: false,
        })
    }

    /// Gives the connection back, if nothing was sent on it. The exchange is of no use afterwards.
    pub(crate) fn take_unused(&mut self) -> Option<OwnedFd> {
        let unused = (self.sent == 0)
            .then(|| self.data.get_ref().try_clone().ok())
            .flatten();
        self.over = true;
        unused
    }

    /// Whether the worker has said that it is ready.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready
    }

    /// Whether the whole request is on its way.
    pub(crate) fn is_sent(&self) -> bool {
        self.sent == self.prefix.as_bytes().len() + self.request.len()
    }

    /// Sends as much of the request as the connection takes at once.
    pub(crate) fn send_some(&mut self) -> io::Result<()> {
        let prefix = self.prefix.as_bytes();
        while !self.is_sent() {
            let parts = [
                IoSlice::new(&prefix[self.sent.min(prefix.len())..]),
                IoSlice::new(&self.request[self.sent.saturating_sub(prefix.len())..]),
            ];
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
            match sendmsg::<()>(self.data.as_raw_fd(), &parts, &[], flags, None) {
                Ok(count) => self.sent += count,
                Err(nix::errno::Errno::EAGAIN) => break,
                // The worker does not listen any more; what it has said still counts.
                Err(nix::errno::Errno::EPIPE | nix::errno::Errno::ECONNRESET) => {
                    self.sent = prefix.len() + self.request.len();
                }
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    /// Waits until the worker says that it is ready.
    pub(crate) async fn until_ready(&mut self) -> Result<(), Broken> {
        while !self.ready {
            let mut byte = [0];
            match self.recv(&mut byte) {
                Ok(0) => return Err(Broken::Closed),
                Ok(_) => self.ready = true,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.wait().await?,
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    /// Waits until the whole request is on its way, or the worker needs no more of it.
    pub(crate) async fn until_sent(&mut self) -> Result<(), Broken> {
        loop {
            self.send_some()?;
            if self.is_sent() || self.try_receive()? {
                return Ok(());
            }
            self.wait().await?;
        }
    }

    /// Looks for the response for a moment, because to fall asleep and be woken takes longer than many a
    /// UDF. Gives way to whoever else wants the processor.
    pub(crate) fn look_out(&mut self) -> Result<(), Broken> {
        let until = Instant::now() + MOMENT;
        while !self.try_receive()? && Instant::now() < until {
            std::thread::yield_now();
        }
        Ok(())
    }

    /// Waits for the whole response.
    pub(crate) async fn until_answered(&mut self) -> Result<Bytes, Broken> {
        while !self.try_receive()? {
            self.wait().await?;
        }
        self.finish()
    }

    /// Reads all that is there. Says whether nothing more is to come.
    fn try_receive(&mut self) -> Result<bool, Broken> {
        while !self.over {
            match self.receive_some() {
                Err(Broken::Io(e)) if e.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                result => self.over = result?,
            }
        }
        Ok(true)
    }

    /// Reads once. Says whether the response is whole or the connection at its end.
    fn receive_some(&mut self) -> Result<bool, Broken> {
        match self.decoder.as_ref().and_then(FrameDecoder::missing) {
            Some(SMALL_READ..) => self.receive::<LARGE_READ>(),
            _ => self.receive::<SMALL_READ>(),
        }
    }

    fn receive<const SIZE: usize>(&mut self) -> Result<bool, Broken> {
        let mut buffer = [0; SIZE];
        let count = self.recv(&mut buffer)?;
        let Some(decoder) = &mut self.decoder else {
            return Ok(true);
        };
        Ok(count == 0 || decoder.push(&buffer[..count])?)
    }

    /// The response, if nothing follows it. What a worker writes later reaches nobody.
    fn finish(&mut self) -> Result<Bytes, Broken> {
        let Some(decoder) = self.decoder.take() else {
            return Err(Broken::Closed);
        };
        let response = decoder.finish()?;
        match self.recv(&mut [0]) {
            Ok(1..) => Err(Broken::Frame(FrameError::Trailing)),
            _ => Ok(response.into()),
        }
    }

    fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        recv_from(self.data.get_ref().as_fd(), buffer)
    }

    /// Waits until it makes sense to try again.
    async fn wait(&mut self) -> io::Result<()> {
        let begun = self.sent > 0;
        let wanted = match begun && !self.is_sent() {
            true => Interest::READABLE | Interest::WRITABLE,
            false => Interest::READABLE,
        };
        // Most requests go out at once, and then room to write is news that costs a wake-up.
        if wanted != self.interest {
            self.data = watch(self.data.get_ref().try_clone()?, wanted)?;
            self.interest = wanted;
        }
        let mut guard = self.data.ready(wanted).await?;
        // Whoever waits has tried before; whoever comes back tries again.
        guard.clear_ready();
        Ok(())
    }
}

#[cfg(test)]
#[path = "exchange_test.rs"]
mod tests;
