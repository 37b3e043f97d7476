//! Metrics: each test makes known events happen and compares them with what Prometheus would read.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use bytes::Bytes;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use roma_byob::{
    CodeToken, Error, ExecuteOptions, GrpcCode, HostCall, HostCallError, HostCallLimits,
    LoadOptions, Readiness, Renewal, Service,
};

use common::requests::{
    assert_echoes, assert_echoes_again, start_hung_request, until_busy, until_ready,
};
use common::sandboxes::kill_sandbox;
use common::{GVISOR_STRICT, MINIMAL_STRICT, PATIENCE, TestBed, patient, run, udf, until, workers};

/// Makes a test in minimal mode and one in gVisor. Each gets a name for its code that no other has, because
/// all tests share the exporter.
macro_rules! in_both_modes {
    ($(async fn $name:ident($bed:ident: TestBed, $code:ident: &str) $body:block)*) => {$(
        mod $name {
            use super::*;

            async fn test($bed: TestBed, $code: &str) $body

            #[test]
            fn minimal() {
                exporter();
                run(MINIMAL_STRICT, |bed| test(bed, concat!(stringify!($name), "_minimal")));
            }
            #[test]
            fn gvisor() {
                exporter();
                run(GVISOR_STRICT, |bed| test(bed, concat!(stringify!($name), "_gvisor")));
            }
        }
    )*};
}

fn exporter() -> &'static PrometheusHandle {
    static EXPORTER: OnceLock<PrometheusHandle> = OnceLock::new();
    EXPORTER.get_or_init(|| PrometheusBuilder::new().install_recorder().unwrap())
}

/// What is exported under this name, summed over all label sets that have these labels. `None` if there is
/// nothing.
fn exported(name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let text = exporter().render();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let values = lines.filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let (series, given) = series.split_once('{').unwrap_or((series, ""));
        let has = |(label, value): &(&str, &str)| given.contains(&format!("{label}=\"{value}\""));
        (series == name && labels.iter().all(has)).then(|| value.parse::<f64>().unwrap())
    });
    values.reduce(|sum, value| sum + value)
}

/// As [`exported`], for code of this name. What was never counted is 0.
fn number(name: &str, code: &str, more: &[(&str, &str)]) -> f64 {
    let labels = [&[("code", code)], more].concat();
    exported(name, &labels).unwrap_or(0.0)
}

fn executions(code: &str, result: &str) -> f64 {
    number("roma_executions_total", code, &[("result", result)])
}

fn all_executions(code: &str) -> f64 {
    number("roma_executions_total", code, &[])
}

fn stage(code: &str, stage: &str) -> f64 {
    number("roma_workers", code, &[("stage", stage)])
}

fn named(code: &str, options: LoadOptions) -> LoadOptions {
    LoadOptions {
        name: code.to_owned(),
        ..options
    }
}

async fn load(service: &Service, code: &str, options: LoadOptions) -> CodeToken {
    let options = named(code, options);
    service.load(udf("misbehaving_udf"), options).await.unwrap()
}

fn short(deadline: u64) -> ExecuteOptions {
    ExecuteOptions {
        deadline: Duration::from_millis(deadline),
        ..patient()
    }
}

/// Waits until the workers by stage are exported as the status says, for which nothing may happen.
async fn until_gauges_equal_the_status(service: &Service, token: &CodeToken, code: &str) {
    until("the gauges equal the status", || {
        let counts = service.status(token).unwrap().counts;
        let exported = ["starting", "ready", "busy", "ending"].map(|name| stage(code, name));
        let waiting = number("roma_waiting_requests", code, &[]);
        let real = [counts.starting, counts.ready, counts.busy, counts.ending];
        exported == real.map(|count| count as f64) && waiting == counts.waiting as f64
    })
    .await;
}

/// Waits until so many starts of workers are timed.
async fn until_timed(code: &str, count: f64) {
    let timed = || number("roma_worker_start_seconds_count", code, &[]);
    let wait = tokio::time::timeout(PATIENCE, async {
        while timed() < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let _ = wait.await;
    assert_eq!(timed(), count, "starts that are timed");
}

in_both_modes! {
    async fn every_execution_is_counted_once_by_its_result(bed: TestBed, code: &str) {
        let service = bed.service().await;
        let options = LoadOptions { max_request: 100, max_live: Some(8), ..workers(2) };
        let token = load(&service, code, options).await;
        for _ in 0..3 {
            assert_echoes(&service, &token).await;
        }
        let error = service.execute(&token, "exit 3", patient()).await.unwrap_err();
        assert!(matches!(error, Error::Died { .. }), "{error:?}");
        service.execute(&token, "trailing", patient()).await.unwrap_err();
        service.execute(&token, vec![b'x'; 101], patient()).await.unwrap_err();
        let error = service.execute(&token, "drip", short(50)).await.unwrap_err();
        assert!(matches!(error, Error::Deadline { .. }), "{error:?}");
        let cancelled = service.execute(&token, "drip", patient());
        cancelled.cancel();
        cancelled.await.unwrap_err();
        for (result, count) in [
            ("ok", 3.0),
            ("died", 1.0),
            ("response", 1.0),
            ("request_too_large", 1.0),
            ("deadline", 1.0),
            ("cancelled", 1.0),
            ("dropped", 0.0),
        ] {
            assert_eq!(executions(code, result), count, "{result}");
        }
        let dropped = start_hung_request(&service, &token).await;
        dropped.abort();
        dropped.await.unwrap_err();
        drop(service.execute(&token, "good", patient()));
        assert_eq!(executions(code, "dropped"), 2.0);
        let deleted = start_hung_request(&service, &token).await;
        service.delete(&token).await.unwrap();
        deleted.await.unwrap().unwrap_err();
        assert_eq!(executions(code, "deleted"), 1.0);
        assert_eq!(all_executions(code), 11.0);
        service.shutdown().await;
    }

    async fn executions_without_a_worker_are_counted(bed: TestBed, code: &str) {
        let service = bed.service().await;
        let options = LoadOptions { max_live: Some(1), max_waiting: 1, ..workers(1) };
        let token = load(&service, code, options).await;
        let hung = start_hung_request(&service, &token).await;
        let hasty = ExecuteOptions { queue_timeout: Duration::ZERO, ..patient() };
        let error = service.execute(&token, "good", hasty).await.unwrap_err();
        assert!(matches!(error, Error::NoWorker { .. }), "{error:?}");
        let waiting = tokio::spawn(service.execute(&token, "good", patient()));
        until("a request waits", || service.status(&token).unwrap().counts.waiting == 1).await;
        let error = service.execute(&token, "good", patient()).await.unwrap_err();
        assert!(matches!(error, Error::QueueFull { .. }), "{error:?}");
        until_gauges_equal_the_status(&service, &token, code).await;
        assert_eq!(number("roma_waiting_requests", code, &[]), 1.0);
        waiting.abort();
        waiting.await.unwrap_err();
        until("no request waits", || number("roma_waiting_requests", code, &[]) == 0.0).await;
        assert_eq!(service.status(&token).unwrap().counts.waiting, 0);
        assert_eq!(executions(code, "no_worker"), 1.0);
        assert_eq!(executions(code, "queue_full"), 1.0);
        assert_eq!(executions(code, "dropped"), 1.0);
        hung.abort();
        service.shutdown().await;
    }

    async fn times_are_recorded_for_each_stage_that_was_reached(bed: TestBed, code: &str) {
        let service = bed.service().await;
        let token = load(&service, code, LoadOptions { max_live: Some(8), ..workers(2) }).await;
        let mut sums = [Duration::ZERO; 3];
        for _ in 0..3 {
            let report = service.execute(&token, "good", patient()).outcome().await.report;
            let times = report.times;
            sums = [sums[0] + times.queue, sums[1] + times.send, sums[2] + times.run];
        }
        let names = ["roma_queue_seconds", "roma_send_seconds", "roma_run_seconds"];
        for (name, sum) in names.iter().zip(sums) {
            assert_eq!(number(&format!("{name}_count"), code, &[]), 3.0, "{name}");
            let exported = number(&format!("{name}_sum"), code, &[]);
            assert!((exported - sum.as_secs_f64()).abs() < 1e-6, "{name}: {exported}, {sum:?}");
        }
        // It has a worker and is sent, but never answered.
        service.execute(&token, "drip", short(50)).await.unwrap_err();
        let counts = names.map(|name| number(&format!("{name}_count"), code, &[]));
        assert_eq!(counts, [4.0, 4.0, 3.0]);
        service.shutdown().await;
    }

    async fn every_start_of_a_worker_is_counted_and_timed(bed: TestBed, code: &str) {
        let service = bed.service().await;
        let token = load(&service, code, workers(2)).await;
        // Requests that find a worker, and that leave others idle.
        for _ in 0..25 {
            assert_echoes(&service, &token).await;
            until_ready(&service, &token, 2).await;
        }
        until_gauges_equal_the_status(&service, &token, code).await;
        assert_eq!(stage(code, "ready"), 2.0);
        let started = service.status(&token).unwrap().started as f64;
        assert!(started >= 27.0, "{started}");
        assert_eq!(number("roma_worker_starts_total", code, &[]), started);
        until_timed(code, started).await;
        // Under load, requests wait for workers that are starting.
        let requests: Vec<_> = (0..40)
            .map(|_| tokio::spawn(service.execute(&token, "good", patient())))
            .collect();
        for request in requests {
            request.await.unwrap().unwrap();
        }
        until_ready(&service, &token, 2).await;
        let started = service.status(&token).unwrap().started as f64;
        assert_eq!(number("roma_worker_starts_total", code, &[]), started);
        until_timed(code, started).await;
        assert_eq!(number("roma_worker_start_failures_total", code, &[]), 0.0);
        service.delete(&token).await.unwrap();
        for name in ["starting", "ready", "busy", "ending"] {
            assert_eq!(stage(code, name), 0.0, "{name}");
        }
        service.shutdown().await;
    }

    async fn the_time_of_a_start_ends_with_readiness(bed: TestBed, code: &str) {
        let service = bed.service().await;
        let options = LoadOptions { args: vec!["slow".into()], ..workers(2) };
        let since = Instant::now();
        let token = load(&service, code, options).await;
        // No request takes them, which would tell, too.
        until_timed(code, 2.0).await;
        let most = 2.0 * since.elapsed().as_secs_f64();
        assert_eq!(service.status(&token).unwrap().counts.ready, 2);
        let sum = number("roma_worker_start_seconds_sum", code, &[]);
        assert!((0.6..=most).contains(&sum), "{sum}: each takes 300 ms to become ready");
        service.shutdown().await;
    }

    async fn starts_of_the_older_protocol_are_counted_once(bed: TestBed, code: &str) {
        let service = bed.service().await;
        let options = LoadOptions {
            readiness: Readiness::None,
            args: vec!["silent".into()],
            ..workers(2)
        };
        let token = load(&service, code, options).await;
        for _ in 0..5 {
            assert_echoes(&service, &token).await;
        }
        until("all starts are timed", || {
            let started = service.status(&token).unwrap().started as f64;
            let settled = service.status(&token).unwrap().counts.starting == 0;
            settled && number("roma_worker_start_seconds_count", code, &[]) == started
        })
        .await;
        until_gauges_equal_the_status(&service, &token, code).await;
        service.shutdown().await;
    }

    async fn starts_that_fail_are_counted_by_their_cause(bed: TestBed, code: &str) {
        let service = bed.service().await;
        let options = LoadOptions { args: vec!["exit".into()], ..workers(1) };
        service.load(udf("misbehaving_udf"), named(code, options)).await.unwrap_err();
        let started = number("roma_worker_starts_total", code, &[]);
        let failed = number("roma_worker_start_failures_total", code, &[("cause", "start_crashed")]);
        assert!(failed >= 3.0 && failed <= started, "{failed} of {started}");
        assert_eq!(number("roma_worker_start_failures_total", code, &[]), failed);
        assert_eq!(number("roma_worker_start_seconds_count", code, &[]), 0.0);
        let late = LoadOptions {
            args: vec!["never ready".into()],
            start_timeout: Duration::from_millis(50),
            ..workers(1)
        };
        service.load(udf("misbehaving_udf"), named(code, late)).await.unwrap_err();
        assert!(number("roma_worker_start_failures_total", code, &[("cause", "never_ready")]) >= 1.0);
        service.shutdown().await;
    }

    async fn ends_of_workers_are_recorded_with_what_they_used(bed: TestBed, code: &str) {
        const REQUESTS: usize = 6;
        let service = bed.service().await;
        let token = load(&service, code, workers(2)).await;
        let mut used = Duration::ZERO;
        for request in ["good", "good", "good", "good", "exit 2"] {
            let report = service.execute(&token, request, patient()).outcome().await.report;
            used += report.exit.unwrap().usage.cpu_time();
        }
        let burnt = service.execute(&token, "burn", short(300)).outcome().await.report;
        used += burnt.exit.unwrap().usage.cpu_time();
        let count = |name: &str, more: &[_]| number(&format!("{name}_count"), code, more);
        assert_eq!(count("roma_worker_life_seconds", &[]), REQUESTS as f64);
        assert_eq!(count("roma_worker_cpu_seconds", &[]), REQUESTS as f64);
        let sum = number("roma_worker_cpu_seconds_sum", code, &[]);
        assert!((sum - used.as_secs_f64()).abs() < 1e-6, "{sum}, {used:?}");
        assert!(number("roma_worker_life_seconds_sum", code, &[]) >= 0.3);
        for step in ["clone", "setup", "exec"] {
            let steps = count("roma_worker_start_step_seconds", &[("step", step)]);
            assert_eq!(steps, REQUESTS as f64, "{step}");
        }
        service.shutdown().await;
    }

    async fn gauges_of_two_loads_of_one_name_add_up(bed: TestBed, code: &str) {
        let service = bed.service().await;
        let first = load(&service, code, workers(1)).await;
        let second = load(&service, code, workers(3)).await;
        until("four are ready", || stage(code, "ready") == 4.0).await;
        let hung = start_hung_request(&service, &second).await;
        until_busy(&service, &second).await;
        until("one is busy", || stage(code, "busy") == 1.0).await;
        service.delete(&second).await.unwrap();
        hung.await.unwrap().unwrap_err();
        until_gauges_equal_the_status(&service, &first, code).await;
        assert_eq!(stage(code, "ready"), 1.0);
        service.shutdown().await;
        assert_eq!(stage(code, "ready"), 0.0);
    }
}

const FUNCTIONS: [&str; 4] = ["greet", "refuse", "hang", "answer_much"];

fn calls(function: &str, result: &str) -> f64 {
    let labels = [("function", function), ("result", result)];
    exported("roma_host_calls_total", &labels).unwrap_or(0.0)
}

async fn service_with_functions(bed: &TestBed) -> Service {
    let limits = HostCallLimits {
        deadline: Duration::from_secs(1),
        max_request: 10,
        max_response: 10,
        ..Default::default()
    };
    let refuse = || Err(HostCallError::new(GrpcCode::FailedPrecondition, "no"));
    bed.builder()
        .host_call_limits(limits)
        .host_function("greet", |_: HostCall| async { Ok(Bytes::from("hello")) })
        .host_function("refuse", move |_| async move { refuse() })
        .host_function("hang", |_| std::future::pending())
        .host_function("answer_much", |_| async { Ok(vec![b'x'; 11].into()) })
        .start()
        .await
        .unwrap()
}

#[test]
fn every_call_of_a_host_function_is_counted_once_by_its_result() {
    exporter();
    for sandbox in [MINIMAL_STRICT, GVISOR_STRICT] {
        let before = |function| ["ok", "error", "dropped"].map(|result| calls(function, result));
        let [greet, refuse, hang, much] = FUNCTIONS.map(before);
        let unknown = calls("", "unknown");
        run(sandbox, async |bed: TestBed| {
            let service = service_with_functions(&bed).await;
            let options = workers(1).calling_host();
            let code = service.load(udf("misbehaving_udf"), options).await.unwrap();
            let call = async |request: &str, options| {
                let request = request.to_owned();
                service.execute(&code, request, options).await
            };
            for request in [
                "call greet x",
                "call greet y",
                "call refuse x",
                "call answer_much x",
            ] {
                call(request, patient()).await.unwrap();
            }
            call("call greet 12345678901", patient()).await.unwrap();
            call("call nothing x", patient()).await.unwrap();
            call("call hang x", patient()).await.unwrap();
            call("call hang x", short(500)).await.unwrap_err();
            service.shutdown().await;
        });
        let since = |function, before: [f64; 3]| {
            let now = ["ok", "error", "dropped"].map(|result| calls(function, result));
            [now[0] - before[0], now[1] - before[1], now[2] - before[2]]
        };
        assert_eq!(since("greet", greet), [2.0, 1.0, 0.0]);
        assert_eq!(since("refuse", refuse), [0.0, 1.0, 0.0]);
        assert_eq!(since("hang", hang), [0.0, 1.0, 1.0]);
        assert_eq!(since("answer_much", much), [0.0, 1.0, 0.0]);
        assert_eq!(calls("", "unknown"), unknown + 1.0);
        for function in FUNCTIONS {
            let labels = [("function", function)];
            let timed = exported("roma_host_call_seconds_count", &labels);
            assert_eq!(
                timed,
                exported("roma_host_calls_total", &labels),
                "{function}"
            );
        }
        assert!(exported("roma_host_calls_total", &[("function", "nothing")]).is_none());
    }
}

#[test]
fn each_sandbox_that_dies_is_counted() {
    exporter();
    for sandbox in [MINIMAL_STRICT, GVISOR_STRICT] {
        let restarts = || exported("roma_sandbox_restarts_total", &[]).unwrap_or(0.0);
        let before = restarts();
        run(sandbox, async |bed: TestBed| {
            let service = bed.service().await;
            let code = load(&service, "restarts", workers(1)).await;
            for count in [1.0, 2.0] {
                kill_sandbox(&service, 0).await;
                assert_echoes_again(&service, &code).await;
                assert_eq!(restarts(), before + count);
            }
            service.shutdown().await;
        });
        assert_eq!(restarts(), before + 2.0, "a shutdown is no restart");
    }
}

#[test]
fn each_sandbox_that_is_replaced_is_counted_by_its_reason() {
    exporter();
    let none = Renewal {
        age: None,
        memory: None,
        processes: None,
        least_age: Duration::from_millis(100),
    };
    for (reason, renewal) in [
        (
            "age",
            Renewal {
                age: Some(Duration::from_secs(1)),
                ..none.clone()
            },
        ),
        (
            "memory",
            Renewal {
                memory: Some(1),
                ..none.clone()
            },
        ),
        (
            "processes",
            Renewal {
                processes: Some(1),
                ..none.clone()
            },
        ),
    ] {
        let renewals =
            || exported("roma_sandbox_renewals_total", &[("reason", reason)]).unwrap_or(0.0);
        for sandbox in [MINIMAL_STRICT, GVISOR_STRICT] {
            let before = renewals();
            run(sandbox, async |bed: TestBed| {
                let service = bed
                    .builder()
                    .renewal(renewal.clone())
                    .start()
                    .await
                    .unwrap();
                let code = load(&service, "renewed", workers(1)).await;
                let old = service.sandbox_processes();
                until("the sandbox is replaced", || {
                    let now = service.sandbox_processes();
                    !now.is_empty() && now != old
                })
                .await;
                assert!(renewals() > before, "{reason}");
                assert_echoes(&service, &code).await;
                service.shutdown().await;
            });
        }
    }
}

#[test]
fn executions_of_code_that_is_not_loaded_are_counted_without_a_name() {
    exporter();
    run(MINIMAL_STRICT, async |bed: TestBed| {
        let service = bed.service().await;
        let code = load(&service, "unloaded", workers(1)).await;
        service.delete(&code).await.unwrap();
        let error = service.execute(&code, "good", patient()).await.unwrap_err();
        assert!(matches!(error, Error::UnknownToken(_)), "{error:?}");
        assert_eq!(executions("", "unknown_token"), 1.0);
        assert_eq!(all_executions("unloaded"), 0.0);
        service.shutdown().await;
        service.execute(&code, "good", patient()).await.unwrap_err();
        assert_eq!(executions("", "shut_down"), 1.0);
    });
}

#[test]
fn the_documentation_lists_every_metric_that_is_exported() {
    every_call_of_a_host_function_is_counted_once_by_its_result();
    each_sandbox_that_dies_is_counted();
    exporter();
    run(MINIMAL_STRICT, async |bed: TestBed| {
        let service = bed.service().await;
        let crash = LoadOptions {
            args: vec!["exit".into()],
            ..workers(1)
        };
        service
            .load(udf("misbehaving_udf"), crash)
            .await
            .unwrap_err();
        let code = load(&service, "documented", workers(1)).await;
        let outcome = service.execute(&code, "good", patient()).outcome().await;
        outcome.result.unwrap();
        service.shutdown().await;
    });
    let table = std::fs::read_to_string(std::env::var("ROMA_METRICS_PAGE").unwrap()).unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `roma_"));
    let documented: Vec<_> = rows.filter_map(|line| line.split('`').nth(1)).collect();
    let text = exporter().render();
    let kinds = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let mut exported: Vec<_> = kinds.filter_map(|line| line.split(' ').next()).collect();
    exported.sort_unstable();
    let mut sorted = documented.clone();
    sorted.sort_unstable();
    assert_eq!(exported, sorted);
}
