//! Random sequences of calls and faults, checked against a small model: each execution ends once, with
//! an outcome that its request and the faults allow; no request gets the answer of another; afterwards
//! the service works, its counts add up, and it leaves no traces.
//!
//! A case that fails is shrunk and printed with its seed. `ROMA_MODEL_SEED=...` runs that case alone;
//! add the seed to `KNOWN`, so that every run tries it.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use roma_byob::{
    Canceller, CodeToken, Error, ExecuteOptions, LoadOptions, Outcome, ResponseError, Service,
};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use common::traces::run_without_traces;
use common::{MINIMAL_STRICT, PATIENCE, TestBed, patient, udf, workers};

/// How long the test starts new cases.
const BUDGET: Duration = Duration::from_secs(60);
/// Seeds of cases that failed in the past.
const KNOWN: [u64; 1] = [944_844_997_216_127_062];
/// The most code that is loaded at the same time.
const MOST_CODE: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Request {
    Good,
    Crash,
    Hang,
    Truncate,
    Linger,
}

#[derive(Debug, Clone)]
enum Step {
    Load,
    LoadCrashing,
    AbandonLoad { after_millis: u64 },
    Execute { code: usize, request: Request },
    Cancel { execution: usize },
    Delete { code: usize },
    KillSandbox,
    Pause { millis: u64 },
    AwaitAll,
    ShutDown,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let request = prop_oneof![
        6 => Just(Request::Good),
        2 => Just(Request::Crash),
        2 => Just(Request::Hang),
        1 => Just(Request::Truncate),
        1 => Just(Request::Linger),
    ];
    let execute =
        (any::<usize>(), request).prop_map(|(code, request)| Step::Execute { code, request });
    let step = prop_oneof![
        3 => Just(Step::Load),
        1 => Just(Step::LoadCrashing),
        1 => (0..60_u64).prop_map(|after_millis| Step::AbandonLoad { after_millis }),
        120 => execute,
        24 => any::<usize>().prop_map(|execution| Step::Cancel { execution }),
        2 => any::<usize>().prop_map(|code| Step::Delete { code }),
        1 => Just(Step::KillSandbox),
        12 => (0..20_u64).prop_map(|millis| Step::Pause { millis }),
        3 => Just(Step::AwaitAll),
    ];
    let end = prop_oneof![3 => Just(None), 1 => Just(Some(Step::ShutDown))];
    (prop::collection::vec(step, 50..300), end).prop_map(|(mut steps, end)| {
        steps.extend(end);
        steps
    })
}

/// An execution in flight.
struct Running {
    code: CodeToken,
    request: Request,
    text: String,
    canceller: Canceller,
    cancelled: bool,
    outcome: oneshot::Receiver<Outcome>,
}

/// The service, and the state of the model.
struct World {
    service: Service,
    code: Vec<CodeToken>,
    deleted: Vec<CodeToken>,
    running: Vec<Running>,
    begun: usize,
    outcomes: Arc<AtomicUsize>,
    killed: bool,
    shut_down: bool,
}

impl World {
    fn new(service: Service) -> Self {
        Self {
            service,
            code: Vec::new(),
            deleted: Vec::new(),
            running: Vec::new(),
            begun: 0,
            outcomes: Arc::default(),
            killed: false,
            shut_down: false,
        }
    }

    async fn run(&mut self, step: &Step) {
        match *step {
            Step::Load => self.load().await,
            Step::LoadCrashing => self.load_crashing().await,
            Step::AbandonLoad { after_millis } => {
                let load = self.service.load(udf("misbehaving_udf"), options());
                let loaded = timeout(Duration::from_millis(after_millis), load).await;
                if let Ok(Ok(code)) = loaded {
                    self.service.delete(&code).await.unwrap();
                }
            }
            Step::Execute { code, request } => self.execute(code, request),
            Step::Cancel { execution } => {
                if let Some(running) = pick(&mut self.running, execution) {
                    running.canceller.cancel();
                    running.cancelled = true;
                }
            }
            Step::Delete { code } => {
                if !self.code.is_empty() {
                    let code = self.code.swap_remove(code % self.code.len());
                    self.deleted.push(code);
                    self.service.delete(&code).await.unwrap();
                }
            }
            Step::KillSandbox => self.kill_sandbox(),
            Step::Pause { millis } => sleep(Duration::from_millis(millis)).await,
            Step::AwaitAll => self.await_all().await,
            Step::ShutDown => {
                self.shut_down = true;
                self.service.shutdown().await;
            }
        }
    }

    async fn load(&mut self) {
        if self.code.len() == MOST_CODE {
            return;
        }
        match self.service.load(udf("misbehaving_udf"), options()).await {
            Ok(code) => self.code.push(code),
            Err(error) => assert!(self.killed && error.retryable(), "load: {error:?}"),
        }
    }

    async fn load_crashing(&mut self) {
        let options = LoadOptions {
            args: vec!["crash".into()],
            ..options()
        };
        let result = self.service.load(udf("misbehaving_udf"), options).await;
        let error = result.unwrap_err();
        let expected = matches!(error, Error::StartCrashed { .. });
        assert!(expected || self.killed && error.retryable(), "{error:?}");
    }

    fn execute(&mut self, code: usize, request: Request) {
        let Some(&mut code) = pick(&mut self.code, code) else {
            return;
        };
        self.begun += 1;
        let text = match request {
            Request::Good => format!("number {}", self.begun),
            Request::Crash => "exit 3".to_owned(),
            Request::Hang => "drip".to_owned(),
            Request::Truncate => "truncated".to_owned(),
            Request::Linger => "linger".to_owned(),
        };
        let limits = match request {
            Request::Hang => ExecuteOptions {
                deadline: Duration::from_millis(30),
                ..patient()
            },
            _ => patient(),
        };
        let outcomes = Arc::clone(&self.outcomes);
        let (tell, outcome) = oneshot::channel();
        let callback = move |outcome| {
            outcomes.fetch_add(1, Ordering::SeqCst);
            tell.send(outcome).unwrap();
        };
        let service = &self.service;
        let canceller = service.execute_with_callback(&code, text.clone(), limits, callback);
        self.running.push(Running {
            code,
            request,
            text,
            canceller,
            cancelled: false,
            outcome,
        });
    }

    fn kill_sandbox(&mut self) {
        let processes = self.service.sandbox_processes();
        if let Some(process) = processes.get(self.begun % processes.len().max(1)) {
            self.killed = true;
            // It may have ended already: an earlier step may have killed it.
            let _ = kill(Pid::from_raw(*process as i32), Signal::SIGKILL);
        }
    }

    async fn await_all(&mut self) {
        for mut running in std::mem::take(&mut self.running) {
            let outcome = timeout(PATIENCE, &mut running.outcome).await;
            let outcome = outcome
                .expect("the execution ends")
                .expect("the outcome is sent");
            self.check(&running, &outcome);
        }
        assert_eq!(self.outcomes.load(Ordering::SeqCst), self.begun);
    }

    fn check(&self, running: &Running, outcome: &Outcome) {
        let is_expected = match (&outcome.result, running.request) {
            (Ok(answer), Request::Good) => *answer == running.text,
            (Ok(answer), Request::Linger) => *answer == "bye",
            (Err(Error::Died { exit, .. }), Request::Crash) => exit.status.code() == Some(3),
            (Err(Error::Deadline { .. }), Request::Hang) => true,
            (Err(Error::Response(defect)), Request::Truncate) => {
                *defect == ResponseError::Truncated
            }
            _ => false,
        };
        assert!(
            is_expected || self.is_allowed(running, &outcome.result),
            "{:?}: {:?}",
            running.request,
            outcome.result
        );
    }

    /// Whether the faults of this case allow an outcome that the request alone does not.
    fn is_allowed(&self, running: &Running, result: &Result<bytes::Bytes, Error>) -> bool {
        match result {
            Ok(_) => false,
            Err(Error::Cancelled) => running.cancelled,
            Err(Error::Deleted | Error::UnknownToken(_)) => self.deleted.contains(&running.code),
            Err(Error::ShutDown) => self.shut_down,
            Err(error) => self.killed && error.retryable(),
        }
    }

    /// Asserts that the service works, whatever happened before.
    async fn assert_works(&self) {
        let listed: Vec<_> = self.service.list().iter().map(|code| code.token).collect();
        assert_eq!(listed.len(), self.code.len(), "{listed:?}");
        for code in &self.code {
            while let Err(error) = self.service.execute(code, "good", patient()).await {
                assert!(self.killed && error.retryable(), "{error:?}");
            }
            let settled = async {
                loop {
                    let counts = self.service.status(code).unwrap().counts;
                    if (counts.ready, counts.live(), counts.waiting) == (2, 2, 0) {
                        break;
                    }
                    sleep(Duration::from_millis(2)).await;
                }
            };
            timeout(PATIENCE, settled).await.expect("the counts add up");
        }
    }
}

fn options() -> LoadOptions {
    LoadOptions {
        exit_grace: Duration::from_millis(20),
        ..workers(2)
    }
}

fn pick<T>(from: &mut [T], number: usize) -> Option<&mut T> {
    let count = from.len();
    (count > 0).then(|| &mut from[number % count])
}

async fn case(bed: TestBed, steps: Vec<Step>) {
    let mut world = World::new(bed.builder_of_two_sandboxes().start().await.unwrap());
    world.load().await;
    for step in &steps {
        world.run(step).await;
    }
    world.await_all().await;
    if !world.shut_down {
        world.assert_works().await;
        world.service.shutdown().await;
    }
}

/// Runs the case of this seed. Returns its number of steps.
fn run_seed(seed: u64) -> usize {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = Config {
        cases: 1,
        max_shrink_iters: 50,
        failure_persistence: None,
        ..Config::default()
    };
    let count = AtomicUsize::new(0);
    let result = TestRunner::new_with_rng(config, rng).run(&steps(), |steps| {
        count.store(steps.len(), Ordering::Relaxed);
        run_without_traces(MINIMAL_STRICT, async |bed| case(bed, steps).await);
        Ok(())
    });
    if let Err(failure) = result {
        panic!("ROMA_MODEL_SEED={seed}\n{failure}");
    }
    count.into_inner()
}

#[test]
fn random_calls_and_faults_end_each_execution_once_and_leave_nothing() {
    if let Ok(seed) = std::env::var("ROMA_MODEL_SEED") {
        run_seed(seed.parse().unwrap());
        return;
    }
    for seed in KNOWN {
        run_seed(seed);
    }
    let began = Instant::now();
    let (random, mut cases, mut steps) = (RandomState::new(), 0_u64, 0);
    while began.elapsed() < BUDGET {
        steps += run_seed(random.hash_one(cases));
        cases += 1;
    }
    println!("{cases} cases, {steps} steps");
}
