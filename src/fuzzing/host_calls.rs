//! Calls of host functions.

use bytes::BytesMut;
use roma_byob::host_call_wire::{HostCallRequest, take_request};

use crate::pieces::Pieces;

/// What the engine allows for the id, the name and the tags of a call.
const OVERHEAD: usize = 1024;

/// It does not matter in what pieces calls come, and none is over its limit.
pub fn run(input: &[u8]) {
    let Some(pieces) = Pieces::of(input) else {
        return;
    };
    let (whole, whole_ended) = take_all([pieces.bytes], pieces.limit);
    let (parts, parts_ended) = take_all(pieces.iter(), pieces.limit);
    assert_eq!(parts, whole);
    assert_eq!(parts_ended, whole_ended);
    for call in whole {
        assert!(call.function.len() + call.payload.len() <= pieces.limit + OVERHEAD);
    }
}

/// The calls in what came, and whether a rule was broken afterwards.
fn take_all<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    limit: usize,
) -> (Vec<HostCallRequest>, bool) {
    let mut received = BytesMut::new();
    let mut calls = Vec::new();
    for piece in pieces {
        received.extend_from_slice(piece);
        loop {
            match take_request(&mut received, limit) {
                Ok(Some(call)) => calls.push(call),
                Ok(None) => break,
                Err(_) => return (calls, true),
            }
        }
        // An unfinished call, and the ten bytes that its length may take.
        assert!(received.len() <= limit + OVERHEAD + 10);
    }
    (calls, false)
}
