//! The request, as a UDF written with `roma-udf` reads it.

use std::io::{self, Read};

use crate::frame::framed;
use crate::pieces::Pieces;

/// The result does not depend on the pieces in which a request arrives, no request exceeds its limit, and
/// the bytes that are read are those after the length.
pub fn run(input: &[u8]) {
    let Some(pieces) = Pieces::of(input) else {
        return;
    };
    let whole = read([pieces.bytes].into_iter(), pieces.limit);
    assert_eq!(read(pieces.iter(), pieces.limit), whole);
    if let Some(message) = whole {
        assert!(message.len() <= pieces.limit);
        let length = pieces.bytes.iter().take_while(|byte| **byte & 0x80 != 0);
        assert!(pieces.bytes[length.count() + 1..].starts_with(&message));
    }
    // Any message of the host arrives.
    let sent = &pieces.bytes[..pieces.bytes.len().min(pieces.limit)];
    let frame = framed(sent);
    assert_eq!(
        read([&frame[..]].into_iter(), pieces.limit).as_deref(),
        Some(sent)
    );
}

fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>, limit: usize) -> Option<Vec<u8>> {
    let mut stream = Stream { pieces, left: &[] };
    roma_udf::read_message(&mut stream, limit).ok()
}

/// Returns one piece per read, or a part of it if the buffer is smaller.
struct Stream<'a, I> {
    pieces: I,
    left: &'a [u8],
}

impl<'a, I: Iterator<Item = &'a [u8]>> Read for Stream<'a, I> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left.is_empty() {
            self.left = self.pieces.next().unwrap_or_default();
        }
        self.left.read(buffer)
    }
}
