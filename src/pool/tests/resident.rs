//! An engine that keeps its workers for many requests, on the same pools and sandboxes as the one for
//! binaries.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use roma_core::{
    BoxFuture, Code, CodeStatus, CodeToken, Engine, Error, ExecuteOptions, Execution, Finished,
    Report, Times,
};
use roma_io::{Exchange, Outgoing};
use roma_pool::{Deployments, Patience, Pool, PoolOptions, WorkerEnd};
use roma_supervise::{Mode, Platform, PoolCode, Programs, Renewal, SandboxOptions, Slots};

/// Long enough for any machine: these tests bound hangs, never speed.
const PATIENCE: Duration = Duration::from_secs(60);

/// An engine whose workers serve many requests each.
struct ResidentEngine {
    slots: Slots,
    loaded: Mutex<HashMap<CodeToken, (Arc<Pool>, Deployments)>>,
}

impl ResidentEngine {
    async fn start(mut options: SandboxOptions) -> Self {
        let config = options.resolve().await.unwrap();
        Self {
            slots: Slots::start(&config, options.sandbox_count())
                .await
                .unwrap(),
            loaded: Mutex::default(),
        }
    }

    fn pool(&self, token: &CodeToken) -> Result<Arc<Pool>, Error> {
        let loaded = self.loaded.lock().unwrap();
        let found = loaded.get(token).map(|(pool, _)| Arc::clone(pool));
        found.ok_or(Error::UnknownToken(*token))
    }
}

/// Sends a request to a worker of a pool, and gives the worker back for the next one.
async fn ask(pool: &Arc<Pool>, request: Bytes, options: &ExecuteOptions) -> Result<Bytes, Error> {
    let patience = Patience::new(options.queue_timeout);
    let (mut lease, _) = pool.acquire_ready(patience, |_| Ok(())).await?;
    let exchange = async {
        let data = lease.worker().data.as_fd();
        let mut exchange = Exchange::new(data, Outgoing::new(request), 1 << 20)?;
        exchange.until_sent().await?;
        exchange.until_answered().await
    };
    match tokio::time::timeout(options.deadline, exchange).await {
        Ok(Ok(response)) => {
            lease.give_back();
            Ok(response)
        }
        Ok(Err(_)) => match lease.end(Duration::from_secs(1)).await? {
            (WorkerEnd::Exited(exit), _) => Err(Error::Died {
                exit,
                log_tail: String::new(),
            }),
            (WorkerEnd::NotStarted(failure), _) => Err(Error::WorkerStart(failure)),
            (WorkerEnd::Lost(error), _) => Err(error),
        },
        // Dropping the lease kills the worker.
        Err(_) => Err(Error::Deadline {
            limit: options.deadline,
        }),
    }
}

impl Engine for ResidentEngine {
    fn kind(&self) -> &'static str {
        "resident"
    }

    fn load(&self, code: Code) -> BoxFuture<'_, Result<CodeToken, Error>> {
        Box::pin(async move {
            let token = CodeToken::new(1, self.loaded.lock().unwrap().len() as u32);
            let options = PoolOptions {
                name: code.name,
                workers: 1,
                max_live: 1,
                start_timeout: PATIENCE,
                ..PoolOptions::default()
            };
            let pool = Arc::new(Pool::new(token, options).unwrap());
            let code = PoolCode {
                bytes: code.bytes,
                private_ipc: true,
                ..PoolCode::default()
            };
            let (deployments, preparation) = Deployments::start(&self.slots, &pool, code, 1);
            preparation.done().await?;
            pool.until_first_ready().await?;
            self.loaded
                .lock()
                .unwrap()
                .insert(token, (pool, deployments));
            Ok(token)
        })
    }

    fn execute(&self, token: &CodeToken, request: Bytes, options: ExecuteOptions) -> Execution {
        let pool = self.pool(token);
        Execution::new(|canceller| async move {
            let report = Report::new(canceller.id(), request.len());
            let result = match pool {
                Ok(pool) => ask(&pool, request, &options).await,
                Err(error) => Err(error),
            };
            Finished {
                result,
                times: Times::default(),
                report: Box::pin(async { report }),
            }
        })
    }

    fn status(&self, token: &CodeToken) -> Result<CodeStatus, Error> {
        let pool = self.pool(token)?;
        let mut status = CodeStatus::new(*token, pool.options().name.clone(), [0; 32]);
        status.counts = pool.status().counts;
        status.started = pool.status().started;
        Ok(status)
    }

    fn list(&self) -> Vec<CodeStatus> {
        let tokens: Vec<_> = self.loaded.lock().unwrap().keys().copied().collect();
        tokens
            .iter()
            .map(|token| self.status(token).unwrap())
            .collect()
    }

    fn delete(&self, token: &CodeToken) -> BoxFuture<'_, Result<(), Error>> {
        let token = *token;
        Box::pin(async move {
            let entry = self.loaded.lock().unwrap().remove(&token);
            let (_, deployments) = entry.ok_or(Error::UnknownToken(token))?;
            deployments.end(Error::Deleted).await;
            Ok(())
        })
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let loaded = std::mem::take(&mut *self.loaded.lock().unwrap());
            for (pool, deployments) in loaded.into_values() {
                pool.drain(Error::ShutDown, PATIENCE).await;
                deployments.end(Error::ShutDown).await;
            }
            self.slots.end();
        })
    }
}

/// Runs a test on an engine in a sandbox of this mode, and checks that it leaves no files.
fn run<F: Future<Output = ()>>(mode: Mode, test: impl FnOnce(Arc<ResidentEngine>) -> F) {
    run_with(mode, None, test);
}

/// The same with sandboxes that are replaced at this age.
fn run_with<F: Future<Output = ()>>(
    mode: Mode,
    age: Option<Duration>,
    test: impl FnOnce(Arc<ResidentEngine>) -> F,
) {
    let run_dir = tempfile::tempdir().unwrap();
    let options = SandboxOptions {
        mode,
        platform: match mode.is_gvisor() {
            true => Platform::Systrap,
            false => Platform::Auto,
        },
        sandboxes: mode.is_gvisor().then_some(1),
        renewal: Renewal {
            age,
            ..Renewal::default()
        },
        run_dir: Some(run_dir.path().to_owned()),
        programs: Programs {
            run_workers: Some(program("ROMA_RUN_WORKERS")),
            runsc: Some(program("ROMA_RUNSC")),
        },
        ..SandboxOptions::default()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let engine = Arc::new(ResidentEngine::start(options).await);
        let test = test(Arc::clone(&engine));
        tokio::time::timeout(PATIENCE * 2, test)
            .await
            .expect("the test hangs");
        engine.shutdown().await;
    });
    drop(runtime);
    assert_eq!(run_dir.path().read_dir().unwrap().count(), 0, "left files");
}

/// A program that the build made for these tests.
fn program(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable)
        .unwrap_or_else(|| panic!("{variable} must name a program that the tests need"));
    std::path::absolute(path).unwrap()
}

async fn load(engine: &ResidentEngine) -> CodeToken {
    let code = Code {
        name: "resident".to_owned(),
        bytes: std::fs::read(program("ROMA_RESIDENT_UDF")).unwrap().into(),
        ..Code::default()
    };
    engine.load(code).await.unwrap()
}

fn patient() -> ExecuteOptions {
    ExecuteOptions {
        queue_timeout: PATIENCE,
        deadline: PATIENCE,
        ..ExecuteOptions::default()
    }
}

#[test]
fn a_worker_is_replaced_with_its_sandbox_when_no_request_has_it() {
    for mode in [Mode::Minimal, Mode::Gvisor] {
        run_with(mode, Some(Duration::from_secs(1)), async |engine| {
            let token = load(&engine).await;
            let first = engine.slots.processes();
            let mut expected = 0;
            while engine.slots.processes() == first || expected != 1 {
                let response = engine.execute(&token, "hello".into(), patient());
                expected += 1;
                let response = String::from_utf8(response.await.unwrap().to_vec()).unwrap();
                if response == "1 hello" {
                    expected = 1;
                }
                assert_eq!(response, format!("{expected} hello"));
            }
        });
    }
}

/// A test in each mode.
macro_rules! in_both_modes {
    ($(async fn $name:ident($engine:ident: Arc<ResidentEngine>) $body:block)*) => {$(
        mod $name {
            use super::*;

            async fn test($engine: Arc<ResidentEngine>) $body

            #[test]
            fn minimal() { run(Mode::Minimal, test) }
            #[test]
            fn gvisor() { run(Mode::Gvisor, test) }
        }
    )*};
}

in_both_modes! {
    async fn one_worker_answers_many_requests(engine: Arc<ResidentEngine>) {
        let token = load(&engine).await;
        for number in 1..=100 {
            let response = engine.execute(&token, "hello".into(), patient()).await.unwrap();
            assert_eq!(response, format!("{number} hello"));
        }
        assert_eq!(engine.status(&token).unwrap().started, 1);
    }

    async fn requests_take_turns_on_the_only_worker(engine: Arc<ResidentEngine>) {
        let token = load(&engine).await;
        let one = engine.execute(&token, "sleep".into(), patient());
        let two = engine.execute(&token, "hello".into(), patient());
        let (one, two) = tokio::join!(one, two);
        assert_eq!(one.unwrap(), "1 sleep");
        assert_eq!(two.unwrap(), "2 hello");
    }

    async fn a_worker_that_dies_is_replaced(engine: Arc<ResidentEngine>) {
        let token = load(&engine).await;
        let error = engine.execute(&token, "abort".into(), patient()).await.unwrap_err();
        assert!(matches!(error, Error::Died { .. }), "{error:?}");
        let response = engine.execute(&token, "hello".into(), patient()).await.unwrap();
        assert_eq!(response, "1 hello", "another process");
        assert_eq!(engine.status(&token).unwrap().started, 2);
    }

    async fn a_deadline_kills_and_replaces_a_hung_worker(engine: Arc<ResidentEngine>) {
        let token = load(&engine).await;
        let options = ExecuteOptions { deadline: Duration::from_millis(50), ..patient() };
        let error = engine.execute(&token, "hang".into(), options).await.unwrap_err();
        assert!(matches!(error, Error::Deadline { .. }), "{error:?}");
        let response = engine.execute(&token, "hello".into(), patient()).await.unwrap();
        assert_eq!(response, "1 hello", "another process");
    }

    async fn a_sandbox_that_dies_is_replaced_with_its_worker(engine: Arc<ResidentEngine>) {
        let token = load(&engine).await;
        let process = engine.slots.processes()[0];
        kill(Pid::from_raw(process as i32), Signal::SIGKILL).unwrap();
        // One request may still meet the dead worker.
        let mut response = engine.execute(&token, "hello".into(), patient()).await;
        while response.is_err() {
            response = engine.execute(&token, "hello".into(), patient()).await;
        }
        assert_eq!(response.unwrap(), "1 hello", "another process");
    }

    async fn a_shutdown_waits_for_the_request_in_flight_and_takes_no_more(engine: Arc<ResidentEngine>) {
        let token = load(&engine).await;
        let pool = engine.pool(&token).unwrap();
        let in_flight = tokio::spawn(engine.execute(&token, "sleep".into(), patient()));
        while pool.status().counts.busy == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let shutdown = tokio::spawn({
            let engine = Arc::clone(&engine);
            async move { engine.shutdown().await }
        });
        while pool.closed().is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let refused = ask(&pool, "hello".into(), &patient()).await.unwrap_err();
        assert!(matches!(refused, Error::ShutDown), "{refused:?}");
        assert_eq!(in_flight.await.unwrap().unwrap(), "1 sleep");
        shutdown.await.unwrap();
        assert!(engine.slots.processes().is_empty());
    }
}
