//! Calls of host functions.

use bytes::BytesMut;
use roma_byob::host_call_wire::{HostCallRequest, take_request};

use crate::pieces::Pieces;

/// The engine's allowance for the id, the name and the tags of a call.
const OVERHEAD: usize = 1024;

/// The result does not depend on the pieces in which calls arrive, and no call exceeds its limit.
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

/// Returns the valid calls, and whether an invalid one followed.
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
        // An incomplete call, and the ten bytes that its length may have.
        assert!(received.len() <= limit + OVERHEAD + 10);
    }
    (calls, false)
}
