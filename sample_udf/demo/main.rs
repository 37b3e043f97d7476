//! Runs the sample UDFs, without a sandbox, and shows what they answer and how soon.

mod latency;
mod udf;

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use prost::Message;
use roma_sample_proto::roma::example::{EchoRequest, EchoResponse};
use roma_sample_proto::roma::sample::sample_request::Task;
use roma_sample_proto::roma::sample::sample_response::Outcome;
use roma_sample_proto::roma::sample::{
    HelloWorldRequest, PrimeSieveRequest, SampleRequest, SampleResponse, SortListRequest,
    prime_sieve_request,
};

use crate::latency::Latencies;

/// How often each UDF is asked for the latency picture.
const ROUNDS: usize = 200;

fn main() -> anyhow::Result<()> {
    let udfs: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    ensure!(!udfs.is_empty(), "expected the paths of sample UDFs");
    println!("Each request is answered by a new process, which is asked once and ends.\n");
    for udf in &udfs {
        println!("{}", udf.display());
        if udf.ends_with("echo_udf") {
            echo(udf)?;
        } else {
            sample(udf)?;
        }
        println!();
    }
    println!("These processes ran without a sandbox: this shows the protocol, not the protection.");
    Ok(())
}

fn echo(udf: &Path) -> anyhow::Result<()> {
    let request = EchoRequest {
        message: b"Hello from the demo".to_vec(),
    };
    let mut latencies = Latencies::default();
    for _ in 0..ROUNDS {
        let answer = udf::ask(udf, &request.encode_to_vec())?;
        let response = EchoResponse::decode(answer.response.as_slice())?;
        ensure!(response.message == request.message, "the echo differs");
        latencies.add(answer.start, answer.run);
    }
    println!(
        "  echo           {:?}",
        String::from_utf8_lossy(&request.message)
    );
    print!("{latencies}");
    Ok(())
}

fn sample(udf: &Path) -> anyhow::Result<()> {
    let limit = prime_sieve_request::Limit::UpTo(1_000_000);
    let tasks = [
        ("hello", Task::HelloWorld(HelloWorldRequest {})),
        (
            "prime sieve",
            Task::PrimeSieve(PrimeSieveRequest { limit: Some(limit) }),
        ),
        (
            "sort list",
            Task::SortList(SortListRequest { length: 100_000 }),
        ),
    ];
    for (name, task) in tasks {
        let request = SampleRequest { task: Some(task) };
        let answer = udf::ask(udf, &request.encode_to_vec())?;
        let response = SampleResponse::decode(answer.response.as_slice())?;
        let outcome = response.outcome.context("the response is empty")?;
        println!("  {name:<15}{} ({:.1?})", summary(&outcome), answer.run);
    }
    Ok(())
}

fn summary(outcome: &Outcome) -> String {
    match outcome {
        Outcome::HelloWorld(hello) => format!("{:?}", hello.greeting),
        Outcome::PrimeSieve(sieve) => format!(
            "{} primes, the largest is {}",
            sieve.prime_count,
            sieve.largest_prime()
        ),
        Outcome::SortList(list) => format!(
            "{} numbers from {} to {}",
            list.length, list.smallest, list.largest
        ),
        other => format!("{other:?}"),
    }
}
