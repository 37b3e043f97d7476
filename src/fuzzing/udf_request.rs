//! The request, as a UDF written with `roma-udf` reads it.

use std::io::{self, Read};

use crate::frame::framed;
use crate::pieces::Pieces;

/// It does not matter in what pieces a request comes, none is over its limit, and what is read is what
/// came behind the length.
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
    // Whatever the host sends arrives.
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

/// Gives one piece after the other, and a part of one where there is no room for more.
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
