//! Size-delimited messages: the length as a varint, then that many bytes.
//!
//! On the data connection the host writes one frame, the request, and the UDF answers with one frame,
//! the response, and nothing more. This is protobuf's delimited form, so every protobuf library can
//! read and write it.

/// Maximum size of a varint that holds a length.
pub const MAX_VARINT_BYTES: usize = 10;

/// Why there is no frame. Each cause is a variant of its own because each says something else about
/// the UDF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The length takes more than ten bytes, or does not fit 64 bits.
    #[error("the length is not a varint")]
    MalformedLength,
    /// The length takes more bytes than it needs.
    #[error("the length takes more bytes than it needs")]
    OverlongLength,
    /// The message would be larger than allowed.
    #[error("a message of {bytes} bytes is larger than the {limit} allowed")]
    Oversize {
        /// The size that the frame announces.
        bytes: u64,
        /// The largest size allowed.
        limit: u64,
    },
    /// The connection ended before the first byte.
    #[error("the connection ended without a message")]
    Missing,
    /// The connection ended within the message.
    #[error("the connection ended within the message ({missing} bytes missing)")]
    Truncated {
        /// Number of bytes that are missing; 0 if the length itself is incomplete.
        missing: u64,
    },
    /// Bytes follow the message.
    #[error("bytes follow the message")]
    Trailing,
}

/// The length prefix of a message, on the stack.
#[derive(Clone, Copy, Debug)]
pub struct LengthPrefix {
    bytes: [u8; MAX_VARINT_BYTES],
    used: usize,
}

impl LengthPrefix {
    /// Encodes the length of a message.
    #[must_use]
    pub fn new(length: usize) -> Self {
        let mut prefix = Self {
            bytes: [0; MAX_VARINT_BYTES],
            used: 0,
        };
        let mut rest = length as u64;
        loop {
            let last = rest < 0x80;
            prefix.bytes[prefix.used] = ((rest & 0x7f) as u8) | if last { 0 } else { 0x80 };
            prefix.used += 1;
            if last {
                return prefix;
            }
            rest >>= 7;
        }
    }

    /// Returns the bytes to send before the message.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.used]
    }
}

/// Decodes one frame from the bytes of a connection, in pieces of any size.
///
/// Memory grows with the bytes received, never with the length that a frame announces.
#[derive(Debug)]
pub struct FrameDecoder {
    limit: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    Length { value: u64, bytes: usize },
    Body { body: Vec<u8>, length: usize },
}

impl FrameDecoder {
    /// Creates a decoder that refuses messages of more than `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit: limit as u64,
            state: State::Length { value: 0, bytes: 0 },
        }
    }

    /// Adds received bytes. Returns whether the message is complete.
    pub fn push(&mut self, mut input: &[u8]) -> Result<bool, FrameError> {
        while let State::Length { .. } = self.state {
            let Some((&byte, rest)) = input.split_first() else {
                return Ok(false);
            };
            input = rest;
            self.push_length(byte)?;
        }
        let State::Body { body, length } = &mut self.state else {
            return Ok(false);
        };
        if input.len() > *length - body.len() {
            return Err(FrameError::Trailing);
        }
        body.extend_from_slice(input);
        Ok(body.len() == *length)
    }

    /// Returns whether the message is complete.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        matches!(&self.state, State::Body { body, length } if body.len() == *length)
    }

    /// Returns the number of bytes that the message still lacks, if its length is known. Meant for
    /// choosing the size of the next read.
    #[must_use]
    pub fn missing(&self) -> Option<usize> {
        match &self.state {
            State::Length { .. } => None,
            State::Body { body, length } => Some(length - body.len()),
        }
    }

    /// Returns the message. Call it when the message is complete or the connection has ended.
    pub fn finish(self) -> Result<Vec<u8>, FrameError> {
        match self.state {
            State::Length { bytes: 0, .. } => Err(FrameError::Missing),
            State::Length { .. } => Err(FrameError::Truncated { missing: 0 }),
            State::Body { body, length } if body.len() == length => Ok(body),
            State::Body { body, length } => Err(FrameError::Truncated {
                missing: (length - body.len()) as u64,
            }),
        }
    }

    fn push_length(&mut self, byte: u8) -> Result<(), FrameError> {
        let State::Length { value, bytes } = &mut self.state else {
            return Ok(());
        };
        let bits = u64::from(byte & 0x7f);
        // The tenth byte holds only the 64th bit.
        if *bytes + 1 == MAX_VARINT_BYTES && byte > 1 {
            return Err(FrameError::MalformedLength);
        }
        *value |= bits << (7 * *bytes);
        *bytes += 1;
        if byte & 0x80 != 0 {
            return Ok(());
        }
        if bits == 0 && *bytes > 1 {
            return Err(FrameError::OverlongLength);
        }
        if *value > self.limit {
            return Err(FrameError::Oversize {
                bytes: *value,
                limit: self.limit,
            });
        }
        // The limit was a usize, so the value is one.
        let length = *value as usize;
        self.state = State::Body {
            body: Vec::new(),
            length,
        };
        Ok(())
    }
}

#[cfg(test)]
#[path = "frame_test.rs"]
mod tests;
