//! Packets to and from a sandbox. Descriptors are attached on the way in, never on the way out.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::sys::socket::{ControlMessage, MsgFlags, Shutdown, SockType, sendmsg, shutdown};
use tokio::io::unix::AsyncFd;
use tokio::io::{Interest, Ready};

use crate::stream::{pair_of, recv_some, try_recv};
use crate::watch::watch;

/// The host's end of a connection of packets.
#[derive(Debug)]
pub struct Seqpacket {
    fd: AsyncFd<OwnedFd>,
}

impl Seqpacket {
    /// Returns a connection: the host's end, and the end to hand inwards.
    pub fn pair() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = pair_of(SockType::SeqPacket)?;
        let fd = watch(ours, Interest::READABLE | Interest::WRITABLE)?;
        Ok((Self { fd }, theirs))
    }

    /// Sends one packet, or fails at once with `WouldBlock`.
    pub fn try_send(&self, packet: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        match self.send_now(packet, fds) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            done => return done,
        }
        // The reactor may not have seen the state that the kernel just reported.
        self.fd
            .try_io(Interest::WRITABLE, |_| self.send_now(packet, fds))
    }

    /// Sends one packet as soon as there is room.
    pub async fn send(&self, packet: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        self.fd
            .async_io(Interest::WRITABLE, |_| self.send_now(packet, fds))
            .await
    }

    /// Receives one packet. Returns 0 if the other end is closed.
    pub async fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        recv_some(&self.fd, buffer).await
    }

    /// Closes the connection for both ends, even if copies of either are open elsewhere.
    pub fn shutdown(&self) {
        // It fails only where the other end is gone already.
        let _ = shutdown(self.fd.as_raw_fd(), Shutdown::Both);
    }

    /// Waits until packets can be received or, with `writable`, sent.
    pub async fn ready(&self, writable: bool) -> io::Result<Ready> {
        let interest = if writable {
            Interest::READABLE | Interest::WRITABLE
        } else {
            Interest::READABLE
        };
        Ok(self.fd.ready(interest).await?.ready())
    }

    /// Receives one packet, or fails at once with `WouldBlock`.
    pub fn try_recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.fd
            .try_io(Interest::READABLE, |fd| try_recv(fd.as_fd(), buffer))
    }

    fn send_now(&self, packet: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let raw: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&raw)];
        let attached = if raw.is_empty() { &[][..] } else { &rights[..] };
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        let fd = self.fd.get_ref().as_raw_fd();
        sendmsg::<()>(fd, &[IoSlice::new(packet)], attached, flags, None)?;
        Ok(())
    }
}
