//! Requests through the service, in a closed loop of some clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use roma_byob::{CodeToken, ExecuteOptions, Service, Times};
use tokio::task::JoinSet;

use super::{PATIENCE, cpu};
use crate::error::Explain;
use crate::output::summary::Summary;

/// The result of one measurement.
#[derive(Debug, Clone, Default)]
pub struct Run {
    pub requests: usize,
    pub failures: usize,
    pub time: Duration,
    pub cpu: Duration,
    pub total: Summary,
    pub queue: Summary,
    pub send: Summary,
    pub run: Summary,
    pub first_failure: Option<String>,
}

impl Run {
    /// Returns the responses per second.
    pub fn rate(&self) -> f64 {
        (self.requests - self.failures) as f64 / self.time.as_secs_f64()
    }

    /// Returns the machine's processor time for each request.
    pub fn cpu_for_each(&self) -> Duration {
        self.cpu / u32::try_from(self.requests.max(1)).unwrap_or(u32::MAX)
    }
}

/// What one client saw.
#[derive(Default)]
struct Seen {
    total: Vec<Duration>,
    stages: Vec<Times>,
    failures: Vec<String>,
}

/// How to send requests.
#[derive(Debug, Clone, Copy)]
pub struct Asking {
    pub clients: usize,
    pub requests: usize,
    /// The number of workers that must be ready before each request, to time requests that do
    /// not wait for one.
    pub ready: Option<u32>,
}

/// Sends the requests and measures them.
pub async fn measure(service: &Service, code: CodeToken, request: &Bytes, asking: Asking) -> Run {
    let left = Arc::new(AtomicUsize::new(asking.requests));
    let busy = cpu::busy();
    let since = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..asking.clients {
        tasks.spawn(client(
            service.clone(),
            code,
            request.clone(),
            asking.ready,
            Arc::clone(&left),
        ));
    }
    let seen = tasks.join_all().await;
    let time = since.elapsed();
    let cpu = cpu::busy().saturating_sub(busy);
    let failures: Vec<_> = seen.iter().flat_map(|seen| &seen.failures).collect();
    let stage = |pick: fn(&Times) -> Duration| {
        Summary::of(
            seen.iter()
                .flat_map(|seen| &seen.stages)
                .map(pick)
                .collect(),
        )
    };
    Run {
        requests: asking.requests,
        failures: failures.len(),
        time,
        cpu,
        total: Summary::of(
            seen.iter()
                .flat_map(|seen| seen.total.iter().copied())
                .collect(),
        ),
        queue: stage(|times| times.queue),
        send: stage(|times| times.send),
        run: stage(|times| times.run),
        first_failure: failures.first().map(|text| (*text).clone()),
    }
}

async fn client(
    service: Service,
    code: CodeToken,
    request: Bytes,
    ready: Option<u32>,
    left: Arc<AtomicUsize>,
) -> Seen {
    let mut seen = Seen::default();
    let options = ExecuteOptions {
        queue_timeout: PATIENCE,
        ..Default::default()
    };
    while left
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
        .is_ok()
    {
        if let Some(ready) = ready {
            super::until_ready(&service, &code, ready).await;
        }
        let since = Instant::now();
        let mut execution = service.execute(&code, request.clone(), options.clone());
        match (&mut execution).await {
            Ok(_) => {
                seen.total.push(since.elapsed());
                seen.stages.extend(execution.times());
            }
            Err(error) => seen.failures.push(error.explained()),
        }
    }
    seen
}
