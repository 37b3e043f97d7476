//! Messages on the wire: each after its length as a varint.

use std::io::{self, Read};

/// Why no message was read.
#[derive(Debug)]
pub(crate) enum FrameError {
    /// The stream ended before its first byte.
    Ended,
    /// The stream ended within the message.
    Truncated,
    /// The length has too many bytes.
    InvalidLength,
    /// The message exceeds the limit.
    TooLarge { length: u64, limit: usize },
    /// The stream could not be read.
    Read(io::Error),
}

/// A varint has seven bits in each byte, so five bytes hold any length below 4 GiB.
const MAX_LENGTH_BYTES: usize = 5;

/// The size of a read until the length is known. Most requests fit, so one system call reads all of
/// them: system calls are expensive inside a sandbox.
const FIRST_READ: usize = 16 * 1024;

/// Reads one message of at most `limit` bytes.
///
/// The other side sends nothing more before it gets a response, so all bytes that are read ahead belong to
/// this message.
pub(crate) fn read(stream: &mut impl Read, limit: usize) -> Result<Vec<u8>, FrameError> {
    let mut received = Vec::with_capacity(FIRST_READ);
    let (length, length_bytes) = loop {
        if let Some(length) = length(&received)? {
            break length;
        }
        if read_some(stream, &mut received)? == 0 {
            return Err(if received.is_empty() {
                FrameError::Ended
            } else {
                FrameError::Truncated
            });
        }
    };
    let message_length = usize::try_from(length)
        .ok()
        .filter(|&length| length <= limit)
        .ok_or(FrameError::TooLarge { length, limit })?;

    received.drain(..length_bytes);
    received.truncate(message_length);
    let missing = message_length - received.len();
    received.reserve_exact(missing);
    let arrived = stream
        .take(missing as u64)
        .read_to_end(&mut received)
        .map_err(FrameError::Read)?;
    if arrived == missing {
        Ok(received)
    } else {
        Err(FrameError::Truncated)
    }
}

/// Returns the length at the start of `received` and its own size in bytes, once it is complete.
fn length(received: &[u8]) -> Result<Option<(u64, usize)>, FrameError> {
    let mut length = 0;
    for (index, byte) in received.iter().take(MAX_LENGTH_BYTES).enumerate() {
        length |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((length, index + 1)));
        }
    }
    if received.len() < MAX_LENGTH_BYTES {
        Ok(None)
    } else {
        Err(FrameError::InvalidLength)
    }
}

/// Returns a message after its length.
pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    let length = prost::length_delimiter_len(message.len()) + message.len();
    let mut frame = Vec::with_capacity(length);
    prost::encoding::encode_varint(message.len() as u64, &mut frame);
    frame.extend_from_slice(message);
    frame
}

/// Appends the bytes of one read and returns their number: 0 at the end of the stream.
fn read_some(stream: &mut impl Read, received: &mut Vec<u8>) -> Result<usize, FrameError> {
    let start = received.len();
    received.resize(FIRST_READ, 0);
    let count = loop {
        match stream.read(&mut received[start..]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => break result.map_err(FrameError::Read)?,
        }
    };
    received.truncate(start + count);
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns one byte at a time, each after an interruption.
    struct Trickle<'a> {
        left: &'a [u8],
        interrupt: bool,
    }

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.interrupt = !self.interrupt;
            if self.interrupt {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let count = buffer.len().min(1);
            self.left.read(&mut buffer[..count])
        }
    }

    #[test]
    fn messages_of_all_sizes_arrive() {
        let sizes = [
            0,
            1,
            127,
            128,
            FIRST_READ - 2,
            FIRST_READ,
            FIRST_READ + 1,
            1 << 20,
        ];
        for size in sizes {
            let message = vec![7; size];
            assert_eq!(
                read(&mut framed(&message).as_slice(), 1 << 20).unwrap(),
                message
            );
        }
    }

    #[test]
    fn a_message_that_arrives_byte_by_byte_is_read() {
        let message = vec![7; 300];
        let mut stream = Trickle {
            left: &framed(&message),
            interrupt: false,
        };
        assert_eq!(read(&mut stream, 300).unwrap(), message);
    }

    #[test]
    fn an_end_before_the_first_byte_is_reported_as_ended() {
        assert!(matches!(read(&mut &b""[..], 9), Err(FrameError::Ended)));
    }

    #[test]
    fn an_end_within_a_message_is_reported_as_truncated() {
        let frame = framed(&[7; 300]);
        for end in 1..frame.len() {
            let result = read(&mut &frame[..end], 300);
            assert!(matches!(result, Err(FrameError::Truncated)), "{end}");
        }
    }

    #[test]
    fn a_length_above_the_limit_is_refused_before_the_message_comes() {
        let result = read(&mut &[0xac, 0x02][..], 299);
        assert!(matches!(
            result,
            Err(FrameError::TooLarge {
                length: 300,
                limit: 299
            })
        ));
        let result = read(&mut &[0xff, 0xff, 0xff, 0xff, 0x7f][..], 299);
        assert!(matches!(result, Err(FrameError::TooLarge { .. })));
    }

    #[test]
    fn an_endless_length_is_refused() {
        let result = read(&mut &[0x80; 5][..], 300);
        assert!(matches!(result, Err(FrameError::InvalidLength)));
    }
}
