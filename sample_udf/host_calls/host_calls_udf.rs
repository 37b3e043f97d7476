//! Calls every function of its host, with the client that is generated for UDFs.

use std::process::ExitCode;

use host_calls_messages::roma::sample::host_calls::{
    AskHostRequest, AskHostResponse, Payload, Question, Size,
};
use roma_udf::{Host, HostError};
use sample_host_udf::SampleHostClient;

fn main() -> ExitCode {
    roma_udf::try_serve(ask)
}

fn ask(request: AskHostRequest) -> Result<AskHostResponse, HostError> {
    let mut connection = Host::connect()?;
    let mut host = SampleHostClient::new(&mut connection);
    let question = Question {
        text: request.question,
    };
    let answer = host.ask(&question)?;
    let sent = host.take(&Payload {
        data: vec![7; request.payload_bytes as usize],
    })?;
    let received = host.give(&Size {
        bytes: request.payload_bytes,
    })?;
    let (refusal_code, refusal) = match host.refuse(&question) {
        Err(HostError::Refused { code, message }) => (code, message),
        Err(error) => return Err(error),
        Ok(_) => (0, String::new()),
    };
    Ok(AskHostResponse {
        answer: answer.text,
        sent_bytes: sent.bytes,
        received_bytes: received.data.len() as u64,
        refusal,
        refusal_code,
    })
}
