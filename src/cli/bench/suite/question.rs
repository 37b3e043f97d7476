//! The requests to UDFs, and checks of their responses.

use bytes::Bytes;
use prost::Message;
use roma_sample_proto::roma::sample::prime_sieve_request::Limit;
use roma_sample_proto::roma::sample::sample_request::Task;
use roma_sample_proto::roma::sample::sample_response::Outcome;
use roma_sample_proto::roma::sample::{
    HelloWorldRequest, LogBenchmarkRequest, PayloadReadRequest, PayloadWriteRequest,
    SampleResponse, SortListRequest,
};

use super::payload::Payload;
use crate::samples::request::{encoded, sieve};

/// The length of a line that is printed to standard error.
const LINE: u32 = 27;

/// A request to a UDF.
#[derive(Debug, Clone)]
pub enum Question {
    Hello,
    PrimesUpTo(u32),
    Sort(u32),
    /// Receive a payload.
    Read(Payload),
    /// Return a payload.
    Write(Payload),
    /// Print this many lines.
    Log(u64),
    /// A request that the user gave.
    Given(Bytes),
}

impl Question {
    pub fn request(&self) -> Bytes {
        match *self {
            Self::Hello => encoded(Task::HelloWorld(HelloWorldRequest {})),
            Self::PrimesUpTo(number) => sieve(Limit::UpTo(number)),
            Self::Sort(length) => encoded(Task::SortList(SortListRequest { length })),
            Self::Read(payload) => encoded(Task::PayloadRead(PayloadReadRequest {
                payloads: vec![vec![b'\n'; payload.size as usize]; payload.count as usize],
            })),
            Self::Write(payload) => encoded(Task::PayloadWrite(PayloadWriteRequest {
                element_size: payload.size,
                element_count: payload.count,
            })),
            Self::Log(lines) => encoded(Task::LogBenchmark(LogBenchmarkRequest {
                lines,
                line_length: LINE,
            })),
            Self::Given(ref request) => request.clone(),
        }
    }

    /// Returns whether a response is valid.
    pub fn is_answered_by(&self, response: &[u8]) -> bool {
        if let Self::Given(_) = self {
            return true;
        }
        let outcome = SampleResponse::decode(response)
            .ok()
            .and_then(|response| response.outcome);
        match (self, outcome) {
            (Self::Hello, Some(Outcome::HelloWorld(answer))) => !answer.greeting.is_empty(),
            (Self::PrimesUpTo(_), Some(Outcome::PrimeSieve(answer))) => answer.prime_count > 0,
            (Self::Sort(length), Some(Outcome::SortList(answer))) => answer.length == *length,
            (Self::Read(payload), Some(Outcome::PayloadRead(answer))) => {
                answer.size == payload.bytes()
            }
            (Self::Write(payload), Some(Outcome::PayloadWrite(answer))) => {
                let sizes = answer.payloads.iter().map(|payload| payload.len() as u64);
                sizes.sum::<u64>() == payload.bytes()
            }
            (Self::Log(lines), Some(Outcome::LogBenchmark(answer))) => {
                answer.size == lines * u64::from(LINE)
            }
            _ => false,
        }
    }

    /// Returns the bytes of payload in the request and the response.
    pub fn payload(&self) -> Option<u64> {
        match self {
            Self::Read(payload) | Self::Write(payload) => Some(payload.bytes()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use roma_sample_proto::roma::sample::{PayloadWriteResponse, PrimeSieveResponse};

    use super::*;

    fn response(outcome: Outcome) -> Vec<u8> {
        SampleResponse {
            outcome: Some(outcome),
        }
        .encode_to_vec()
    }

    #[test]
    fn only_what_was_asked_for_is_an_answer() {
        let payload = Payload { size: 3, count: 2 };
        let written = |payloads| response(Outcome::PayloadWrite(PayloadWriteResponse { payloads }));
        let question = Question::Write(payload);
        assert!(question.is_answered_by(&written(vec![vec![0; 3]; 2])));
        assert!(!question.is_answered_by(&written(vec![vec![0; 3]])));
        let primes = response(Outcome::PrimeSieve(PrimeSieveResponse::default()));
        assert!(!question.is_answered_by(&primes));
        assert!(!Question::PrimesUpTo(10).is_answered_by(&primes));
        assert!(!Question::Hello.is_answered_by(b"\xff"));
        assert!(Question::Given(Bytes::new()).is_answered_by(b"\xff"));
    }

    #[test]
    fn a_payload_is_in_the_request_or_asked_for() {
        let payload = Payload {
            size: 5000,
            count: 3,
        };
        assert!(Question::Read(payload).request().len() > 15_000);
        assert!(Question::Write(payload).request().len() < 20);
        assert_eq!(Question::Write(payload).payload(), Some(15_000));
        assert_eq!(Question::Hello.payload(), None);
    }
}
