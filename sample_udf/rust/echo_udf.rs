//! Returns the message of the request.

use std::process::ExitCode;

use roma_sample_proto::roma::example::{EchoRequest, EchoResponse};

fn main() -> ExitCode {
    roma_udf::serve(|request: EchoRequest| EchoResponse {
        message: request.message,
    })
}
