//! Requests to the sample UDFs.

use bytes::Bytes;
use prost::Message;
use roma_sample_proto::roma::sample::prime_sieve_request::Limit;
use roma_sample_proto::roma::sample::sample_request::Task;
use roma_sample_proto::roma::sample::{PrimeSieveRequest, SampleRequest};

/// Returns an encoded request for a task.
pub fn encoded(task: Task) -> Bytes {
    SampleRequest { task: Some(task) }.encode_to_vec().into()
}

/// Returns a request for primes, up to a number or for a time.
pub fn sieve(limit: Limit) -> Bytes {
    encoded(Task::PrimeSieve(PrimeSieveRequest { limit: Some(limit) }))
}

#[derive(Clone, PartialEq, Message)]
struct EchoRequest {
    #[prost(bytes = "vec", tag = "1")]
    message: Vec<u8>,
}

/// Returns a request to the echo UDF with `bytes` bytes of payload.
pub fn echo(bytes: usize) -> Bytes {
    let message = vec![b'x'; bytes];
    EchoRequest { message }.encode_to_vec().into()
}
