//! Messages over the connection of a worker, each with its length in front.

use std::io;
use std::os::fd::BorrowedFd;

use bytes::{Buf, BytesMut};
use prost::Message;
use prost::encoding::decode_varint;
use roma_io::stream::{recv_some, send_all};
use roma_io::watch;
use roma_v8_protocol::{FromWorker, ToWorker, from_worker, to_worker};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// How much is read at once.
const READ_BYTES: usize = 64 * 1024;
/// The most bytes of a length.
const LENGTH_BYTES: usize = 10;

/// Why there are no more messages.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The connection has ended.
    Closed,
    /// The worker sent what is not a message, or one that is too large.
    Invalid,
    /// The operating system refused something.
    Io(io::Error),
}

/// The messages of one worker.
pub(crate) struct Frames<'a> {
    socket: AsyncFd<BorrowedFd<'a>>,
    received: BytesMut,
    most: usize,
}

impl<'a> Frames<'a> {
    /// Returns the messages of a connection, each of which has at most `most` bytes.
    pub(crate) fn new(connection: BorrowedFd<'a>, most: usize) -> io::Result<Self> {
        Ok(Self {
            socket: watch(connection, Interest::READABLE | Interest::WRITABLE)?,
            received: BytesMut::new(),
            most,
        })
    }

    pub(crate) async fn send(&self, body: to_worker::Body) -> Result<(), Broken> {
        let bytes = ToWorker { body: Some(body) }.encode_length_delimited_to_vec();
        // That it is gone is seen by reading.
        match send_all(&self.socket, &bytes).await {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            sent => sent.map_err(Broken::Io),
        }
    }

    pub(crate) async fn receive(&mut self) -> Result<from_worker::Body, Broken> {
        loop {
            if let Some(message) = take(&mut self.received, self.most)? {
                return message.body.ok_or(Broken::Invalid);
            }
            let mut buffer = vec![0; READ_BYTES];
            match recv_some(&self.socket, &mut buffer).await {
                Ok(0) => return Err(Broken::Closed),
                Ok(count) => self.received.extend_from_slice(&buffer[..count]),
                Err(error) => return Err(Broken::Io(error)),
            }
        }
    }
}

/// Takes a message out of what was received, if it is there as a whole.
fn take(received: &mut BytesMut, most: usize) -> Result<Option<FromWorker>, Broken> {
    let mut rest = &received[..];
    let Ok(size) = decode_varint(&mut rest) else {
        return match received.len() < LENGTH_BYTES {
            true => Ok(None),
            false => Err(Broken::Invalid),
        };
    };
    let size = usize::try_from(size).map_err(|_| Broken::Invalid)?;
    if size > most {
        return Err(Broken::Invalid);
    }
    if rest.len() < size {
        return Ok(None);
    }
    let length = received.len() - rest.len();
    received.advance(length);
    let message = received.split_to(size).freeze();
    FromWorker::decode(message)
        .map(Some)
        .map_err(|_| Broken::Invalid)
}

#[cfg(test)]
mod tests {
    use roma_v8_protocol::Line;

    use super::*;

    fn line(text: &str) -> FromWorker {
        let line = Line {
            severity: 1,
            text: text.into(),
        };
        FromWorker {
            body: Some(from_worker::Body::Line(line)),
        }
    }

    #[test]
    fn messages_are_taken_however_they_are_split() {
        let messages = [line("one"), line(""), line(&"x".repeat(300))];
        let bytes: Vec<u8> = messages
            .iter()
            .flat_map(Message::encode_length_delimited_to_vec)
            .collect();
        let mut received = BytesMut::new();
        let mut taken = Vec::new();
        for byte in bytes {
            received.extend_from_slice(&[byte]);
            taken.extend(take(&mut received, 1000).unwrap());
        }
        assert_eq!(taken, messages);
        assert!(received.is_empty());
    }

    #[test]
    fn what_is_no_message_is_refused_without_waiting_for_it() {
        let refused = |bytes: &[u8]| take(&mut BytesMut::from(bytes), 1000).is_err();
        assert!(refused(&[0xff; LENGTH_BYTES + 1]));
        assert!(refused(&[0xe9, 0x07]), "1001 bytes");
        assert!(refused(&[2, 0xff, 0xff]));
        assert!(!refused(&[]));
        assert!(!refused(&[0xff]));
    }
}
