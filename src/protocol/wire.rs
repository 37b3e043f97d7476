//! Little-endian fields in bounded messages.

use roma_sandbox::step::{Step, StepFailure};

/// Changes whenever the bytes or the meaning of a message change. Both sides refuse a peer of another
/// version.
pub const PROTOCOL_VERSION: u16 = 4;

/// Why a message cannot be decoded. The peer that sent it must not be trusted any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The message ends within a field.
    #[error("the message ends within a field")]
    Truncated,
    /// Bytes follow the last field.
    #[error("{0} bytes follow the last field")]
    Trailing(usize),
    /// The bytes that pad a message to its fixed size are not zero.
    #[error("padding is not zero")]
    Padding,
    /// The first byte is not the code of a message.
    #[error("unknown message {0}")]
    UnknownMessage(u8),
    /// A byte is not the code of a step.
    #[error("unknown step {0}")]
    UnknownStep(u8),
    /// A byte is not the code of a filter level.
    #[error("unknown filter level {0}")]
    UnknownFilter(u8),
    /// Bits are set that have no meaning.
    #[error("unknown flags {0:#x}")]
    UnknownFlags(u32),
    /// The peer speaks another version of the protocol.
    #[error("protocol version {0}, this side speaks {PROTOCOL_VERSION}")]
    Version(u16),
    /// A list or string is longer than allowed.
    #[error("a list or string of {0} elements is too long")]
    TooLong(usize),
    /// A path is not absolute, or holds `.`, `..`, an empty part or a NUL byte.
    #[error("a path is not absolute and plain")]
    Path,
    /// A string that becomes a C string holds a NUL byte.
    #[error("a string holds a NUL byte")]
    Nul,
    /// An environment entry is not `NAME=value`.
    #[error("an environment entry is not NAME=value")]
    Environment,
    /// The pool's workers would share an IPC namespace without a filter that denies its use.
    #[error("a shared IPC namespace needs a system call filter")]
    SharedIpcUnfiltered,
    /// A number is outside its valid range.
    #[error("{0} is out of range")]
    OutOfRange(u64),
}

/// Packs flags, the first into the lowest bit.
pub(crate) fn bits<const N: usize>(flags: [bool; N]) -> u8 {
    flags
        .iter()
        .rev()
        .fold(0, |bits, flag| (bits << 1) | u8::from(*flag))
}

/// Appends fields to a message.
pub(crate) trait Sink {
    fn put(&mut self, bytes: &[u8]);

    fn u8(&mut self, value: u8) {
        self.put(&[value]);
    }
    fn u16(&mut self, value: u16) {
        self.put(&value.to_le_bytes());
    }
    fn u32(&mut self, value: u32) {
        self.put(&value.to_le_bytes());
    }
    fn u64(&mut self, value: u64) {
        self.put(&value.to_le_bytes());
    }
    fn i32(&mut self, value: i32) {
        self.put(&value.to_le_bytes());
    }
    fn optional(&mut self, value: Option<u64>) {
        self.u64(value.unwrap_or(u64::MAX));
    }
    fn failure(&mut self, failure: &StepFailure) {
        self.u8(failure.step as u8);
        self.i32(failure.errno);
    }
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// A message of a fixed size on the stack, so that the hot path does not allocate.
pub(crate) struct Fixed<const N: usize> {
    pub(crate) bytes: [u8; N],
    used: usize,
}

impl<const N: usize> Fixed<N> {
    pub(crate) fn new() -> Self {
        Self {
            bytes: [0; N],
            used: 0,
        }
    }
}

impl<const N: usize> Sink for Fixed<N> {
    fn put(&mut self, bytes: &[u8]) {
        let end = self.used + bytes.len();
        self.bytes[self.used..end].copy_from_slice(bytes);
        self.used = end;
    }
}

/// Reads fields from a message.
pub(crate) struct Source<'a>(pub(crate) &'a [u8]);

impl<'a> Source<'a> {
    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self
            .0
            .split_at_checked(count)
            .ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self.0.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(*head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }
    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_le_bytes)
    }
    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_le_bytes)
    }
    pub(crate) fn i32(&mut self) -> Result<i32, DecodeError> {
        self.array().map(i32::from_le_bytes)
    }
    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_le_bytes)
    }
    pub(crate) fn optional(&mut self) -> Result<Option<u64>, DecodeError> {
        self.u64().map(|value| (value != u64::MAX).then_some(value))
    }
    pub(crate) fn failure(&mut self) -> Result<StepFailure, DecodeError> {
        let code = self.u8()?;
        Ok(StepFailure {
            step: Step::from_code(code).ok_or(DecodeError::UnknownStep(code))?,
            errno: self.i32()?,
        })
    }

    /// Unpacks flags that [`bits`] packed.
    pub(crate) fn flags<const N: usize>(&mut self) -> Result<[bool; N], DecodeError> {
        let byte = self.u8()?;
        if u32::from(byte) >> N != 0 {
            return Err(DecodeError::UnknownFlags(byte.into()));
        }
        Ok(std::array::from_fn(|bit| byte & (1 << bit) != 0))
    }

    /// Ends a message of variable size: no bytes may follow.
    pub(crate) fn end(&self) -> Result<(), DecodeError> {
        match self.0.len() {
            0 => Ok(()),
            count => Err(DecodeError::Trailing(count)),
        }
    }

    /// Ends a message of fixed size: only zeros may follow.
    pub(crate) fn padding(&self) -> Result<(), DecodeError> {
        if self.0.iter().all(|byte| *byte == 0) {
            Ok(())
        } else {
            Err(DecodeError::Padding)
        }
    }
}
