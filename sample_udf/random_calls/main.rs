//! A UDF that makes random system calls, from many processes and threads.
//!
//! A request is a [`plan::Plan`] in words, such as `seed=7 rounds=4 processes=8 threads=4 calls=500`. In each
//! round new processes start, and their threads make calls with random arguments. The answer says what the
//! kernel answered how often, and whether any process found a [`canary`] of another request in its memory.
//! Calls depend on the seed alone, except where what they do to each other depends on time.

mod arguments;
mod calls;
mod canary;
mod kernel;
mod memory;
mod plan;
mod random;
mod round;
mod storm;
mod tally;

use std::process::ExitCode;

use roma_udf::{Connection, Error};

use crate::plan::Plan;
use crate::tally::Tally;

fn main() -> ExitCode {
    roma_udf::run(serve)
}

fn serve(mut connection: Connection) -> Result<(), Error> {
    connection.ready()?;
    let request = connection.read_request_bytes()?;
    let plan = Plan::read(&String::from_utf8_lossy(&request));
    let Some(tally) = Tally::shared() else {
        return connection.write_response_bytes(b"no memory for a tally");
    };
    if plan.first_process {
        storm::rage(&plan, plan.seed, tally);
    } else {
        for number in 0..plan.rounds {
            round::play(&plan, number, tally);
        }
    }
    connection.write_response_bytes(tally.to_string().as_bytes())
}
