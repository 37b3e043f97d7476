//! The bytes of a worker on its data connection: readiness, then a response.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use nix::sys::socket::{
    AddressFamily, MsgFlags, Shutdown, SockFlag, SockType, send, shutdown, socketpair,
};
use roma_io::{Broken, Exchange, Outgoing, until_ready};
use roma_protocol::byob::frame::FrameError;
use tokio::runtime::{Builder, Runtime};

use crate::frame;
use crate::pieces::Pieces;

/// A number of bytes that a socket accepts without a reader.
const MOST_BYTES: usize = 8 * 1024;
/// A bound for hangs: no step waits for anything.
const HANG: Duration = Duration::from_secs(60);

static RUNTIME: LazyLock<std::io::Result<Runtime>> =
    LazyLock::new(|| Builder::new_current_thread().enable_all().build());

/// The host's result equals that of a decoder that has all bytes at once. Only bytes after a complete
/// response may remain unread.
pub fn run(input: &[u8]) {
    let Some(pieces) = Pieces::of(input) else {
        return;
    };
    let Ok(runtime) = &*RUNTIME else { return };
    if pieces.bytes.len() > MOST_BYTES {
        return;
    }
    let Ok((ours, theirs)) = pair() else { return };
    let talk = async {
        let host = tokio::time::timeout(HANG, converse(ours, pieces.limit));
        let host = tokio::spawn(host);
        say(theirs, &pieces).await;
        host.await
    };
    let Ok(Ok(answer)) = runtime.block_on(talk) else {
        unreachable!("the host waits for a worker that has ended");
    };
    check(answer.map(Vec::from), &pieces);
}

/// The host's side: an empty request that is sent early, readiness, the response.
async fn converse(data: OwnedFd, max_response: usize) -> Result<Bytes, FrameError> {
    let talk = async {
        // First of all, so that nothing comes before it.
        let mut outgoing = Outgoing::new(Bytes::new());
        outgoing.send_some(data.as_fd())?;
        until_ready(data.as_fd()).await?;
        let mut exchange = Exchange::new(data.as_fd(), outgoing, max_response)?;
        exchange.until_sent().await?;
        exchange.until_answered().await
    };
    talk.await.map_err(|broken: Broken| match broken {
        Broken::Frame(error) => error,
        Broken::Closed | Broken::Early | Broken::Io(_) => FrameError::Missing,
    })
}

fn check(answer: Result<Vec<u8>, FrameError>, pieces: &Pieces<'_>) {
    let response = pieces.bytes.get(1..).unwrap_or_default();
    let expected = frame::decode([response], pieces.limit);
    match (&answer, expected) {
        (Ok(message), Err(FrameError::Trailing)) => {
            assert!(message.len() <= pieces.limit);
            assert!(response.starts_with(&frame::framed(message)));
        }
        (_, expected) => assert_eq!(answer, expected),
    }
}

async fn say(socket: OwnedFd, pieces: &Pieces<'_>) {
    for piece in pieces.iter() {
        // The host may have closed the connection after it read enough.
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        if send(socket.as_raw_fd(), piece, flags).is_err() {
            return;
        }
        tokio::task::yield_now().await;
    }
    let _ = shutdown(socket.as_raw_fd(), Shutdown::Write);
}

fn pair() -> nix::Result<(OwnedFd, OwnedFd)> {
    socketpair(
        AddressFamily::Unix,
        SockType::Stream,
        None,
        SockFlag::SOCK_CLOEXEC,
    )
}
