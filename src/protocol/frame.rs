//! Size-delimited messages on the data connection: a varint with the length, then so many bytes.
//!
//! After the readiness byte (where there is one) the host writes one frame, the request, and the UDF
//! answers with one frame, the response, and nothing more. This is protobuf's delimited form, so every
//! protobuf library speaks it.

/// A varint that holds a length takes at most this many bytes.
pub const MAX_VARINT_BYTES: usize = 10;

/// Why a frame cannot be had. Each cause is its own variant because each tells something else about
/// the UDF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The length takes more than ten bytes, or does not fit 64 bits.
    #[error("the length is not a varint")]
    MalformedLength,
    /// The length is written with more bytes than it needs.
    #[error("the length is written with more bytes than it needs")]
    OverlongLength,
    /// The message would be larger than allowed.
    #[error("a message of {bytes} bytes is larger than the {limit} allowed")]
    Oversize {
        /// What the frame announces.
        bytes: u64,
        /// What is allowed.
        limit: u64,
    },
    /// The connection ended before a single byte came.
    #[error("the connection ended without a message")]
    Missing,
    /// The connection ended within the message.
    #[error("the connection ended within the message ({missing} bytes missing)")]
    Truncated {
        /// How many bytes did not come; 0 where even the length is incomplete.
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
    /// Of a message of so many bytes.
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

    /// The bytes to send before the message.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.used]
    }
}

/// Takes one frame off a connection as its bytes come, whatever pieces they come in.
///
/// Memory grows with the bytes that have come, never with the length that a frame only announces.
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
    /// Refuses messages of more than `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit: limit as u64,
            state: State::Length { value: 0, bytes: 0 },
        }
    }

    /// Takes what came. Says whether the message is complete.
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

    /// Whether the message is complete.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        matches!(&self.state, State::Body { body, length } if body.len() == *length)
    }

    /// How many bytes the message still lacks, where its length is known. Fit for choosing the size
    /// of the next read.
    #[must_use]
    pub fn missing(&self) -> Option<usize> {
        match &self.state {
            State::Length { .. } => None,
            State::Body { body, length } => Some(length - body.len()),
        }
    }

    /// The message, once the connection has ended or the message is complete.
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
