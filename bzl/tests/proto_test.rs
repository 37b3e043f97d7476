//! Messages of two crates and of the well-known types have the same encoding as in C++.

use std::collections::BTreeMap;

use place_rust_proto::bzl_tests::place::v1::{Place, place::Coordinates};
use prost::Message;
use visit::bzl_tests::visit::v1::{Visit, visit::Kind, visit::Weather};

/// The same visit as in `proto_test.cc`, and the bytes that both expect.
const BYTES: &str = "0a060a0462616e6b1a090900000000000008403a02080c4202083ca00600aa06\
100a0374656110ffffffffffffffffff01ca0c09090000000000803540f01205";

fn visit() -> Visit {
    Visit {
        place: Some(Place {
            name: "bank".to_owned(),
            coordinates: None,
        }),
        door: Some(Coordinates {
            latitude: 3.0,
            longitude: 0.0,
        }),
        at: Some(prost_types::Timestamp {
            seconds: 12,
            nanos: 0,
        }),
        lasted: Some(prost_types::Duration {
            seconds: 60,
            nanos: 0,
        }),
        guests: Some(0),
        spent: BTreeMap::from([("tea".to_owned(), -1)]),
        weather: Some(Weather::Degrees(21.5)),
        attachment: None,
        notes: None,
        r#type: Kind::Short.into(),
    }
}

#[test]
fn the_encoding_equals_that_of_cc() {
    let hex: String = visit()
        .encode_to_vec()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(hex, BYTES);
}

#[test]
fn decoding_returns_the_encoded_message() {
    assert_eq!(
        Visit::decode(visit().encode_to_vec().as_slice()).unwrap(),
        visit()
    );
}
