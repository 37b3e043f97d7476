//! Byte streams and pipes.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Returns a stream connection: the host's end, which is only used without blocking, and the end to
/// hand inwards, which blocks.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    pair_of(SockType::Stream)
}

pub(crate) fn pair_of(kind: SockType) -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(
        AddressFamily::Unix,
        kind,
        None,
        SockFlag::SOCK_CLOEXEC,
    )?)
}

/// Returns a pipe: the host's end to read from, which never blocks, and the end to hand inwards.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&read, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((read, write))
}

/// Receives from a socket, or fails at once with `WouldBlock`. The kernel closes descriptors that the
/// peer attaches, because no room is given for them.
pub fn try_recv(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    match recv(fd.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
        // The other end was closed with bytes unread: to a reader that is the end.
        Err(Errno::ECONNRESET) => Ok(0),
        result => Ok(result?),
    }
}

/// Returns how many bytes could be received now, of as many as the buffer holds, and leaves them there.
/// Never waits.
pub(crate) fn peek(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_PEEK;
    match recv(fd.as_raw_fd(), buffer, flags) {
        // Nothing is there, or the connection is at its end: whoever receives next learns which.
        Err(Errno::EAGAIN | Errno::ECONNRESET) => Ok(0),
        result => Ok(result?),
    }
}

/// Receives from a socket as soon as there is something.
pub async fn recv_some<T: AsFd + AsRawFd>(
    socket: &AsyncFd<T>,
    buffer: &mut [u8],
) -> io::Result<usize> {
    socket
        .async_io(Interest::READABLE, |fd| try_recv(fd.as_fd(), buffer))
        .await
}

/// Sends all bytes over a socket.
pub async fn send_all<T: AsFd + AsRawFd>(socket: &AsyncFd<T>, mut bytes: &[u8]) -> io::Result<()> {
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    while !bytes.is_empty() {
        let send = |fd: &T| Ok(send(fd.as_raw_fd(), bytes, flags)?);
        bytes = &bytes[socket.async_io(Interest::WRITABLE, send).await?..];
    }
    Ok(())
}
