//! Both UDFs speak the protocol when another workspace builds them.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Command;

use greeting::greeting::v1::{GreetRequest, GreetResponse};
use prost::Message;

/// Runs a UDF with a socket as descriptor 3, as Roma does, and sends one request.
fn ask(udf: &str, request: &GreetRequest) -> GreetResponse {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let mut child = Command::new("/bin/sh")
        .args(["-c", "exec \"$0\" 3 3<&0 </dev/null", udf])
        .stdin(OwnedFd::from(theirs))
        .spawn()
        .unwrap();
    let mut ready = [0];
    ours.read_exact(&mut ready).unwrap();
    ours.write_all(&request.encode_length_delimited_to_vec())
        .unwrap();
    let mut answer = Vec::new();
    ours.read_to_end(&mut answer).unwrap();
    assert!(child.wait().unwrap().success());
    GreetResponse::decode_length_delimited(answer.as_slice()).unwrap()
}

fn greets(variable: &str) {
    let udf = std::env::var(variable).unwrap();
    let at = prost_types::Timestamp {
        seconds: 12,
        nanos: 0,
    };
    let response = ask(
        &udf,
        &GreetRequest {
            name: "consumer".to_owned(),
            at: Some(at),
        },
    );
    assert_eq!(response.text, "Hello, consumer! It is 12.");
}

#[test]
fn the_rust_udf_greets() {
    greets("GREET_RUST");
}

#[test]
fn the_cc_udf_greets() {
    greets("GREET_CC");
}
