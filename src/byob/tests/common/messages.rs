//! The requests and responses of the sample UDFs.

use prost::Message;
use roma_sample_proto::roma::sample::{HelloWorldRequest, SampleRequest, SampleResponse};

pub use roma_sample_proto::roma::sample::sample_request::Task;
pub use roma_sample_proto::roma::sample::sample_response::Outcome;

/// A request for one task, as bytes.
pub fn request(task: Task) -> Vec<u8> {
    SampleRequest { task: Some(task) }.encode_to_vec()
}

/// The outcome of a response.
pub fn outcome(response: &[u8]) -> Outcome {
    SampleResponse::decode(response)
        .unwrap()
        .outcome
        .expect("the response has an outcome")
}

/// The greeting of a response.
pub fn greeting(response: &[u8]) -> String {
    match outcome(response) {
        Outcome::HelloWorld(hello) => hello.greeting,
        other => panic!("not a greeting: {other:?}"),
    }
}

pub fn hello() -> Vec<u8> {
    request(Task::HelloWorld(HelloWorldRequest {}))
}
