use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn framed(message: &[u8]) -> Vec<u8> {
    [LengthPrefix::new(message.len()).as_bytes(), message].concat()
}

fn decode(bytes: &[u8], limit: usize) -> Result<Vec<u8>, FrameError> {
    let mut decoder = FrameDecoder::new(limit);
    decoder.push(bytes)?;
    decoder.finish()
}

proptest! {
    #[test]
    fn a_frame_is_decoded_from_pieces_of_any_size(message in vec(any::<u8>(), 0..600), piece in 1usize..50) {
        let mut decoder = FrameDecoder::new(600);
        let bytes = framed(&message);
        let mut complete = false;
        for chunk in bytes.chunks(piece) {
            prop_assert!(!complete);
            complete = decoder.push(chunk).expect("a valid frame");
        }
        prop_assert!(complete && decoder.is_complete());
        prop_assert_eq!(decoder.missing(), Some(0));
        prop_assert_eq!(decoder.finish(), Ok(message));
    }

    #[test]
    fn a_frame_cut_anywhere_is_incomplete(message in vec(any::<u8>(), 1..600), at in any::<prop::sample::Index>()) {
        let bytes = framed(&message);
        let cut = &bytes[..at.index(bytes.len())];
        let error = decode(cut, 600).expect_err("cut");
        if cut.is_empty() {
            prop_assert_eq!(error, FrameError::Missing);
        } else {
            prop_assert!(matches!(error, FrameError::Truncated { .. }), "{}", error);
        }
    }

    #[test]
    fn any_bytes_are_decoded_without_panic(bytes in vec(any::<u8>(), 0..40), limit in 0usize..64) {
        if let Ok(message) = decode(&bytes, limit) {
            prop_assert_eq!(framed(&message), bytes);
        }
    }

    #[test]
    fn every_length_is_a_canonical_protobuf_varint(length in any::<usize>()) {
        let prefix = LengthPrefix::new(length);
        let value = prefix.as_bytes().iter().rev().fold(0u64, |sum, byte| (sum << 7) | u64::from(byte & 0x7f));
        prop_assert_eq!(value, length as u64);
        prop_assert!(matches!(prefix.as_bytes(), [0] | [.., 1..=0x7f]));
    }
}

#[test]
fn the_empty_message_is_one_byte() {
    assert_eq!(framed(b""), [0]);
    assert_eq!(decode(&[0], 0), Ok(Vec::new()));
}

#[test]
fn malformed_and_overlong_lengths_are_refused() {
    assert_eq!(decode(&[0xff; 10], 9), Err(FrameError::MalformedLength));
    assert_eq!(decode(&[0x80; 11], 9), Err(FrameError::MalformedLength));
    assert_eq!(
        decode(&[0x81, 0x80, 0x00], 9),
        Err(FrameError::OverlongLength)
    );
    assert_eq!(decode(&[0x80, 0x00], 9), Err(FrameError::OverlongLength));
}

#[test]
fn an_announced_size_beyond_the_limit_is_refused_before_the_body() {
    let mut huge = vec![0xff; 9];
    huge.push(1);
    assert_eq!(
        decode(&huge, 9),
        Err(FrameError::Oversize {
            bytes: u64::MAX,
            limit: 9
        })
    );
    assert_eq!(
        decode(&[10], 9),
        Err(FrameError::Oversize {
            bytes: 10,
            limit: 9
        })
    );
}

#[test]
fn bytes_after_the_message_are_refused_even_if_they_come_later() {
    assert_eq!(decode(&[1, 7, 7], 9), Err(FrameError::Trailing));
    let mut decoder = FrameDecoder::new(9);
    assert_eq!(decoder.push(&[1, 7]), Ok(true));
    assert_eq!(decoder.push(&[]), Ok(true));
    assert_eq!(decoder.push(&[7]), Err(FrameError::Trailing));
}

#[test]
fn memory_grows_with_the_bytes_received() {
    let mut decoder = FrameDecoder::new(usize::MAX >> 1);
    decoder
        .push(LengthPrefix::new(1 << 40).as_bytes())
        .expect("allowed");
    decoder.push(&[1]).expect("allowed");
    let State::Body { body, .. } = &decoder.state else {
        panic!("no body")
    };
    assert!(body.capacity() < 1024);
}
