//! Packets to and from the sandbox, with descriptors attached on the way in and never on the way out.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, Shutdown, SockFlag, SockType, recv, sendmsg, shutdown,
    socketpair,
};
use tokio::io::unix::AsyncFd;
use tokio::io::{Interest, Ready};

use crate::reactor::watch;

/// The host's end of a connection of packets.
#[derive(Debug)]
pub(crate) struct Seqpacket {
    fd: AsyncFd<OwnedFd>,
}

impl Seqpacket {
    /// A connection: the host's end, and the end to hand inwards.
    pub(crate) fn pair() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = pair_of(SockType::SeqPacket)?;
        let fd = watch(ours, Interest::READABLE | Interest::WRITABLE)?;
        Ok((Self { fd }, theirs))
    }

    /// Sends one packet, or fails at once with `WouldBlock`.
    pub(crate) fn try_send(&self, packet: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        match self.send_now(packet, fds) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            done => return done,
        }
        // What the kernel said just now may be older news to the reactor.
        self.fd
            .try_io(Interest::WRITABLE, |_| self.send_now(packet, fds))
    }

    /// Sends one packet as soon as there is room.
    pub(crate) async fn send(&self, packet: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        self.fd
            .async_io(Interest::WRITABLE, |_| self.send_now(packet, fds))
            .await
    }

    /// Receives one packet; 0 bytes mean that the other end is closed.
    pub(crate) async fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.fd
            .async_io(Interest::READABLE, |fd| recv_from(fd.as_fd(), buffer))
            .await
    }

    /// Closes the connection for both ends, whoever still holds a copy of either.
    pub(crate) fn shutdown(&self) {
        // It fails only where the other end is gone already.
        let _ = shutdown(self.fd.as_raw_fd(), Shutdown::Both);
    }

    /// Waits until packets can be received or, with `writable`, sent.
    pub(crate) async fn ready(&self, writable: bool) -> io::Result<Ready> {
        let interest = if writable {
            Interest::READABLE | Interest::WRITABLE
        } else {
            Interest::READABLE
        };
        Ok(self.fd.ready(interest).await?.ready())
    }

    /// Receives one packet, or fails at once with `WouldBlock`.
    pub(crate) fn try_recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.fd
            .try_io(Interest::READABLE, |fd| recv_from(fd.as_fd(), buffer))
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

/// A stream connection: the host's end, which never blocks, and the end to hand inwards, which does.
pub(crate) fn stream_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    pair_of(SockType::Stream)
}

/// Reads without ever blocking. Descriptors that the other end attaches are closed by the kernel,
/// because no room is given for them.
pub(crate) fn recv_from(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    match recv(fd.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
        // The other end was closed with bytes unread: to a reader that is the end.
        Err(Errno::ECONNRESET) => Ok(0),
        result => Ok(result?),
    }
}

fn pair_of(kind: SockType) -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(
        AddressFamily::Unix,
        kind,
        None,
        SockFlag::SOCK_CLOEXEC,
    )?)
}
