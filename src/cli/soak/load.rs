//! The load: good requests, which are timed; hostile requests; and code that is loaded and deleted.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use roma_byob::{CodeToken, Error, ExecuteOptions, Fault, LoadOptions, PoolLimits, Service};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::error::Explain;
use crate::samples::hostile;

/// The deadline of a good request, which only a hang exceeds.
const PATIENCE: Duration = Duration::from_secs(60);
/// The time between two loads of short-lived code.
const CHURN: Duration = Duration::from_millis(500);

/// How an execution is ended.
#[derive(Debug, Clone, Copy)]
enum Ending {
    Awaited,
    Cancelled,
    Dropped,
}

/// The ways to misbehave, which are repeated.
const HOSTILE: [(&str, Ending); 14] = [
    ("truncated", Ending::Awaited),
    ("truncated-length", Ending::Awaited),
    ("trailing", Ending::Awaited),
    ("malformed", Ending::Awaited),
    ("oversize", Ending::Awaited),
    ("exit 3", Ending::Awaited),
    ("hoard", Ending::Awaited),
    ("drip", Ending::Awaited),
    ("mute", Ending::Awaited),
    ("linger", Ending::Awaited),
    ("daemon", Ending::Awaited),
    ("drip", Ending::Cancelled),
    ("drip", Ending::Dropped),
    ("good", Ending::Awaited),
];

/// What clients saw since the last sample.
#[derive(Debug, Default)]
pub struct Tally {
    /// The times of good requests.
    pub good: Vec<Duration>,
    /// The number of hostile requests.
    pub hostile: usize,
    /// Unexpected events.
    pub surprises: Vec<String>,
}

/// A running load, which stops when it is dropped.
#[derive(Debug)]
pub struct Load {
    tally: Arc<Mutex<Tally>>,
    tasks: JoinSet<()>,
}

/// The programs that it runs.
#[derive(Debug, Clone)]
pub struct Udfs {
    pub good: Bytes,
    pub hostile: Bytes,
}

impl Load {
    /// Loads the code and starts `clients` clients of each kind.
    pub async fn start(service: &Service, udfs: &Udfs, clients: usize) -> Result<Self, Error> {
        let workers = u32::try_from(clients.max(1)).unwrap_or(u32::MAX);
        let pool_limits = PoolLimits {
            processes: Some(512),
            ..PoolLimits::default()
        };
        let good = LoadOptions {
            name: "good".into(),
            pool_limits,
            ..LoadOptions::with_workers(workers)
        };
        let good = service.load(udfs.good.clone(), good).await?;
        let hostile = service
            .load(udfs.hostile.clone(), hostile_options(workers))
            .await?;
        let tally = Arc::<Mutex<Tally>>::default();
        let mut tasks = JoinSet::new();
        for number in 0..clients {
            tasks.spawn(ask(service.clone(), good, Arc::clone(&tally)));
            tasks.spawn(offend(service.clone(), hostile, number, Arc::clone(&tally)));
        }
        tasks.spawn(churn(
            service.clone(),
            udfs.hostile.clone(),
            Arc::clone(&tally),
        ));
        Ok(Self { tally, tasks })
    }

    /// Returns what clients saw since the last sample.
    pub fn look(&self) -> Tally {
        std::mem::take(&mut *lock(&self.tally))
    }

    /// Waits until all clients have stopped.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

fn hostile_options(workers: u32) -> LoadOptions {
    LoadOptions {
        name: "hostile".into(),
        limits: hostile::limits(),
        exit_grace: hostile::LIFE,
        max_response: 1000,
        ..LoadOptions::with_workers(workers)
    }
}

fn patient() -> ExecuteOptions {
    ExecuteOptions {
        queue_timeout: PATIENCE,
        deadline: PATIENCE,
        ..Default::default()
    }
}

async fn ask(service: Service, code: CodeToken, tally: Arc<Mutex<Tally>>) {
    // One field of bytes, as the echo sample has it.
    let request = Bytes::from_static(b"\x0a\x05hello");
    loop {
        let since = Instant::now();
        let answer = service.execute(&code, request.clone(), patient()).await;
        let mut tally = lock(&tally);
        match answer {
            Ok(answer) if answer == request => tally.good.push(since.elapsed()),
            other => tally.surprises.push(format!("echo: {other:?}")),
        }
    }
}

async fn offend(service: Service, code: CodeToken, first: usize, tally: Arc<Mutex<Tally>>) {
    let options = ExecuteOptions {
        deadline: hostile::LIFE,
        ..patient()
    };
    for (request, ending) in HOSTILE.iter().cycle().skip(first * 5) {
        let mut execution = service.execute(&code, *request, options.clone());
        let result = match ending {
            Ending::Awaited => execution.await,
            Ending::Cancelled => match timeout(hostile::LIFE / 4, &mut execution).await {
                Ok(result) => result,
                Err(_) => {
                    execution.cancel();
                    execution.await
                }
            },
            Ending::Dropped => match timeout(hostile::LIFE / 4, execution).await {
                Ok(result) => result,
                Err(_) => Err(Error::Cancelled),
            },
        };
        let mut tally = lock(&tally);
        tally.hostile += 1;
        match result {
            Err(error) if error.fault() != Fault::Udf && !matches!(error, Error::Cancelled) => {
                tally
                    .surprises
                    .push(format!("{request}: {}", error.explained()));
            }
            _ => {}
        }
    }
}

/// Loads code, sends it one request and deletes it; also loads code that crashes before it is ready.
async fn churn(service: Service, udf: Bytes, tally: Arc<Mutex<Tally>>) {
    for round in 0_u64.. {
        let crashes = round % 2 == 1;
        let options = LoadOptions {
            args: crashes.then(|| "crash".to_owned()).into_iter().collect(),
            ..hostile_options(1)
        };
        let result = match service.load(udf.clone(), options).await {
            Ok(code) => match service.execute(&code, "good", patient()).await {
                Ok(_) => service.delete(&code).await,
                Err(error) => Err(error),
            },
            Err(error) if crashes && error.fault() == Fault::Udf => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = result {
            lock(&tally)
                .surprises
                .push(format!("load: {}", error.explained()));
        }
        tokio::time::sleep(CHURN).await;
    }
}

fn lock(tally: &Mutex<Tally>) -> std::sync::MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}
