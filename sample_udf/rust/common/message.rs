//! Helpers that build responses.

use roma_sample_proto::roma::sample::sample_response::Outcome;
use roma_sample_proto::roma::sample::{HelloWorldResponse, SampleResponse};

/// Why a UDF has no response to a request.
#[derive(Debug, thiserror::Error)]
#[error("the request has no task that this UDF knows, or a parameter that is not valid")]
pub struct Unanswerable;

/// Returns the response with this outcome.
#[must_use]
pub fn response(outcome: Outcome) -> SampleResponse {
    SampleResponse {
        outcome: Some(outcome),
    }
}

/// Returns the response with this greeting.
#[must_use]
pub fn greeting(text: &str) -> SampleResponse {
    response(Outcome::HelloWorld(HelloWorldResponse {
        greeting: text.into(),
    }))
}
