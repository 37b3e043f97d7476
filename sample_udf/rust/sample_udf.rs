//! Does several kinds of work: greets, sieves, sorts and clones.

use std::process::ExitCode;

use roma_sample_proto::roma::sample::sample_request::Task;
use roma_sample_proto::roma::sample::sample_response::Outcome;
use roma_sample_proto::roma::sample::{SampleRequest, SampleResponse};
use roma_sample_udf::message::{Unanswerable, greeting, response};
use roma_sample_udf::{clone, prime_sieve, sort_list};

fn main() -> ExitCode {
    roma_udf::try_serve(answer)
}

fn answer(request: SampleRequest) -> Result<SampleResponse, Unanswerable> {
    Ok(match request.task {
        Some(Task::HelloWorld(_)) => greeting("Hello, world!"),
        Some(Task::PrimeSieve(request)) => {
            response(Outcome::PrimeSieve(prime_sieve::answer(&request)?))
        }
        Some(Task::SortList(request)) => {
            let list = sort_list::list(request.length);
            response(Outcome::SortList(sort_list::sort(list)))
        }
        Some(Task::Clone(request)) => response(Outcome::Clone(clone::answer(&request)?)),
        _ => return Err(Unanswerable),
    })
}
