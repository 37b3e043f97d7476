//! Stands for a new version of a UDF: returns the same greeting for any request.

use std::process::ExitCode;

use roma_sample_proto::roma::sample::SampleRequest;
use roma_sample_udf::message::greeting;

fn main() -> ExitCode {
    roma_udf::serve(|_: SampleRequest| greeting("I am a new UDF!"))
}
