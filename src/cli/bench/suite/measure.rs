//! One measurement of a benchmark.

use std::time::{Duration, Instant};

use anyhow::ensure;
use bytes::Bytes;
use roma_byob::{CodeToken, Error, ExecuteOptions, LoadOptions, Service};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::super::{PATIENCE, cpu, until_ready};
use super::benchmarks::{Benchmark, Work};
use super::question::Question;
use crate::error::Explain;
use crate::output::summary::Summary;

/// How long a request may take: large payloads and small machines need some time.
const DEADLINE: Duration = Duration::from_secs(60);

/// The result of a measurement.
#[derive(Debug, Default)]
pub struct Measured {
    pub times: Vec<Duration>,
    pub cpu: Duration,
    pub failures: usize,
    pub first_failure: Option<String>,
}

impl Measured {
    /// Returns the mean nanoseconds of an iteration.
    pub fn mean(&self) -> f64 {
        let sum: Duration = self.times.iter().sum();
        sum.as_nanos() as f64 / self.count()
    }

    pub fn cpu_for_each(&self) -> f64 {
        self.cpu.as_nanos() as f64 / self.count()
    }

    pub fn failure_rate(&self) -> f64 {
        self.failures as f64 / self.count()
    }

    pub fn summary(&self) -> Summary {
        Summary::of(self.times.clone())
    }

    fn count(&self) -> f64 {
        self.times.len().max(1) as f64
    }

    fn failed(&mut self, error: &Error) {
        self.failures += 1;
        self.first_failure.get_or_insert_with(|| error.explained());
    }
}

/// Measures for at least `time`, and at least one iteration.
pub async fn measure_once(
    service: &Service,
    benchmark: &Benchmark,
    time: Duration,
) -> anyhow::Result<Measured> {
    match &benchmark.work {
        Work::Load => loads(service, benchmark, time).await,
        Work::Ask(question) => requests(service, benchmark, question, false, time).await,
        Work::AskWithCallback(question) => requests(service, benchmark, question, true, time).await,
    }
}

fn options(benchmark: &Benchmark) -> LoadOptions {
    let options = LoadOptions::with_workers(benchmark.workers);
    match benchmark.logs {
        true => options.keeping_logs(),
        false => options,
    }
}

/// Times loads until the first ready worker. Code is deleted before the next load.
async fn loads(
    service: &Service,
    benchmark: &Benchmark,
    time: Duration,
) -> anyhow::Result<Measured> {
    let mut measured = Measured::default();
    let busy = cpu::busy();
    while measured.times.iter().sum::<Duration>() < time {
        let since = Instant::now();
        let code = service.load(&benchmark.program, options(benchmark)).await?;
        measured.times.push(since.elapsed());
        service.delete(&code).await?;
    }
    measured.cpu = cpu::busy().saturating_sub(busy);
    Ok(measured)
}

/// Times sequential requests, as the C++ suite sends them.
async fn requests(
    service: &Service,
    benchmark: &Benchmark,
    question: &Question,
    callback: bool,
    time: Duration,
) -> anyhow::Result<Measured> {
    let code = service.load(&benchmark.program, options(benchmark)).await?;
    // So that the start of workers is not measured. A worker that never becomes ready fails below.
    let _ = timeout(PATIENCE, until_ready(service, &code, benchmark.workers)).await;
    let measured = asked(service, code, question, callback, time).await;
    service.delete(&code).await?;
    measured
}

async fn asked(
    service: &Service,
    code: CodeToken,
    question: &Question,
    callback: bool,
    time: Duration,
) -> anyhow::Result<Measured> {
    let request = question.request();
    let answer = ask(service, code, &request, callback).await?;
    ensure!(
        question.is_answered_by(&answer),
        "the answer is another one than was asked for"
    );
    let mut measured = Measured::default();
    let (begun, busy) = (Instant::now(), cpu::busy());
    while measured.times.is_empty() || begun.elapsed() < time {
        let since = Instant::now();
        let answer = ask(service, code, &request, callback).await;
        measured.times.push(since.elapsed());
        if let Err(error) = answer {
            measured.failed(&error);
        }
    }
    measured.cpu = cpu::busy().saturating_sub(busy);
    Ok(measured)
}

async fn ask(
    service: &Service,
    code: CodeToken,
    request: &Bytes,
    callback: bool,
) -> Result<Bytes, Error> {
    let options = ExecuteOptions {
        queue_timeout: PATIENCE,
        deadline: DEADLINE,
        ..Default::default()
    };
    if !callback {
        return service.execute(&code, request.clone(), options).await;
    }
    let (told, answer) = oneshot::channel();
    service.execute_with_callback(&code, request.clone(), options, |outcome| {
        // The receiver is alive until the response has come.
        let _ = told.send(outcome.result);
    });
    answer.await.unwrap_or(Err(Error::Cancelled))
}
