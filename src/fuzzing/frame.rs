//! One frame on a data connection.

use roma_protocol::byob::frame::{FrameDecoder, FrameError, LengthPrefix};

use crate::pieces::Pieces;

/// The result does not depend on the pieces in which a frame arrives, no message exceeds its limit, and a
/// message has exactly one encoding.
pub fn run(input: &[u8]) {
    let Some(pieces) = Pieces::of(input) else {
        return;
    };
    let whole = decode([pieces.bytes], pieces.limit);
    assert_eq!(decode(pieces.iter(), pieces.limit), whole);
    if let Ok(message) = whole {
        assert!(message.len() <= pieces.limit);
        assert_eq!(framed(&message), pieces.bytes);
    }
}

pub(crate) fn decode<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    limit: usize,
) -> Result<Vec<u8>, FrameError> {
    let mut decoder = FrameDecoder::new(limit);
    for piece in pieces {
        let complete = decoder.push(piece)?;
        assert_eq!(complete, decoder.is_complete());
        assert_eq!(complete, decoder.missing() == Some(0));
    }
    decoder.finish()
}

pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    [LengthPrefix::new(message.len()).as_bytes(), message].concat()
}
