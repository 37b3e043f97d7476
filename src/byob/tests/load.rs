//! Loading: what is refused and why, logs, options, and pools whose workers start slowly or not at all.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use roma_byob::{
    BinaryError, ConfigError, Error, ExecuteOptions, ExitStatus, Fault, LoadOptions, Logs, Outcome,
    Readiness,
};
use roma_core::{Code, Engine};
use roma_sample_proto::roma::sample::LogRequest;
use serde_json::json;

use common::messages::{Task, greeting, hello, request};
use common::{PATIENCE, in_every_sandbox, patient, udf, until, workers};

fn logging() -> LoadOptions {
    LoadOptions {
        logs: Logs::Tail {
            max_bytes: 64 * 1024,
        },
        ..workers(2)
    }
}

fn with_argument(argument: &str) -> LoadOptions {
    LoadOptions {
        args: vec![argument.to_owned()],
        ..workers(1)
    }
}

fn log_request() -> Vec<u8> {
    request(Task::Log(LogRequest {
        standard_output: "I am a stdout log.\n".into(),
        standard_error: "I am a stderr log.\n".into(),
        standard_error_after_response: "I am a late log.\n".into(),
    }))
}

/// Returns copies of a program in which one field of its headers is damaged, each with the field's name.
fn damaged(program: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut copies = Vec::new();
    let mut damage = |name: String, at: usize, size: usize| {
        let mut copy = program.to_vec();
        copy[at..at + size].fill(0xff);
        copies.push((format!("{name} of ones"), copy));
        let mut copy = program.to_vec();
        copy[at] ^= 1;
        copies.push((format!("{name} with another bit"), copy));
    };
    for (name, at, size) in HEADER {
        damage(name.to_owned(), at, size);
    }
    // The second segment of a static program is its code.
    let segment = usize::from(program[32]) + 56;
    for (name, at, size) in SEGMENT {
        damage(name.to_owned(), segment + at, size);
    }
    copies
}

/// Fields of the header of an ELF file without which no kernel runs it: name, offset and size.
const HEADER: [(&str, usize, usize); 6] = [
    ("version", 6, 1),
    ("e_type", 16, 2),
    ("e_entry", 24, 8),
    ("e_phoff", 32, 8),
    ("e_phentsize", 54, 2),
    ("e_phnum", 56, 2),
];

/// Such fields of a program header.
const SEGMENT: [(&str, usize, usize); 5] = [
    ("p_type", 0, 4),
    ("p_offset", 8, 8),
    ("p_vaddr", 16, 8),
    ("p_filesz", 32, 8),
    ("p_memsz", 40, 8),
];

in_every_sandbox! {
    async fn a_damaged_program_is_never_blamed_on_the_sandbox(bed: TestBed) {
        let service = bed.service().await;
        let program = fs::read(udf("misbehaving_udf")).unwrap();
        for (what, copy) in damaged(&program) {
            let options = LoadOptions { start_timeout: Duration::from_secs(1), ..workers(1) };
            match service.load(copy, options).await {
                // Not every field is needed to run a program.
                Ok(code) => service.delete(&code).await.unwrap(),
                Err(error) => assert_eq!(error.fault(), Fault::Udf, "{what}: {error}"),
            }
        }
        service.shutdown().await;
    }

    async fn the_error_of_a_damaged_program_names_what_is_damaged(bed: TestBed) {
        let service = bed.service().await;
        let mut program = fs::read(udf("misbehaving_udf")).unwrap();
        program[54] += 1;
        let error = service.load(program, workers(1)).await.unwrap_err();
        assert!(matches!(error.engine_failure(), Some(BinaryError::Unsuitable(_))), "{error:?}");
        let text = "the binary is damaged: its program headers have 57 bytes each, not 56";
        assert_eq!((error.to_string().as_str(), error.fault()), (text, Fault::Udf));
        service.shutdown().await;
    }

    async fn code_that_cannot_run_is_refused_with_the_reason(bed: TestBed) {
        let service = bed.service().await;
        let refused = async |binary: &str| service.load(binary, workers(1)).await.unwrap_err();
        let error = refused("").await;
        assert!(matches!(error.engine_failure(), Some(BinaryError::Missing(_))), "{error:?}");
        let error = refused("/no/such/file").await;
        assert!(matches!(error.engine_failure(), Some(BinaryError::Missing(_))), "{error:?}");
        let error = refused("/").await;
        assert!(matches!(error.engine_failure(), Some(BinaryError::NotAFile(_))), "{error:?}");
        let error = refused("/etc/passwd").await;
        assert!(matches!(error.engine_failure(), Some(BinaryError::NotExecutable(_))), "{error:?}");
        let error = refused("/bin/sh").await;
        assert!(matches!(error.engine_failure(), Some(BinaryError::MissingLibraries(_))), "{error:?}");
        let error = service.load(udf("echo_udf"), workers(0)).await.unwrap_err();
        assert!(matches!(error, Error::Config(ConfigError::LoadOption { option: "workers", .. })));
        let error = service.load(b"#!/bin/sh\n".to_vec(), workers(1)).await.unwrap_err();
        assert!(error.to_string().contains("/bin/sh"), "{error}");
        assert!(service.list().is_empty());
        service.shutdown().await;
    }

    async fn numbers_beyond_their_maximum_are_refused_and_nothing_is_started(bed: TestBed) {
        let service = bed.service().await;
        let neighbour = service.load(udf("sample_udf"), workers(1)).await.unwrap();
        let sandbox = service.sandbox_processes();
        let texts = |count: usize| vec!["x".to_owned(); count];
        for (options, name) in [
            (workers(LoadOptions::MAX_WORKERS + 1), "workers"),
            (workers(1_000_000_000), "workers"),
            (workers(u32::MAX), "workers"),
            (LoadOptions { max_live: Some(u32::MAX), ..workers(1) }, "max_live"),
            (LoadOptions { max_waiting: u32::MAX, ..workers(1) }, "max_waiting"),
            (LoadOptions { spawners: Some(65), ..workers(1) }, "spawners"),
            (LoadOptions { args: texts(65), ..workers(1) }, "args"),
            (LoadOptions { max_response: usize::MAX, ..workers(1) }, "max_response"),
        ] {
            let error = service.load(udf("sample_udf"), options).await.unwrap_err();
            let is_named = matches!(
                error,
                Error::Config(ConfigError::TooLarge { option, .. }) if option == name
            );
            assert!(is_named, "{name}: {error:?}");
        }
        assert_eq!(service.list().len(), 1);
        let most = LoadOptions {
            max_waiting: LoadOptions::MAX_WAITING,
            max_live: Some(LoadOptions::MAX_WORKERS),
            max_request: LoadOptions::MAX_MESSAGE_BYTES,
            max_response: LoadOptions::MAX_MESSAGE_BYTES,
            logs: Logs::Tail { max_bytes: LoadOptions::MAX_LOG_BYTES },
            private_tmp: Some(LoadOptions::MAX_PRIVATE_TMP),
            args: texts(LoadOptions::MAX_TEXTS),
            ..workers(1)
        };
        let code = service.load(udf("sample_udf"), most).await.unwrap();
        for code in [code, neighbour] {
            let response = service.execute(&code, hello(), patient()).await.unwrap();
            assert_eq!(greeting(&response), "Hello, world!");
        }
        assert_eq!(service.sandbox_processes(), sandbox, "nothing killed the sandbox");
        service.shutdown().await;
    }

    async fn a_service_is_used_through_the_trait_of_engines(bed: TestBed) {
        let engine: Arc<dyn Engine> = Arc::new(bed.service().await);
        let options = json!({ "workers": 1, "start_timeout": PATIENCE.as_secs() });
        let code = Code {
            name: "sample".to_owned(),
            bytes: fs::read(udf("sample_udf")).unwrap().into(),
            options: options.as_object().unwrap().clone(),
        };
        let token = engine.load(code).await.unwrap();
        let outcome = engine.execute(&token, hello().into(), patient()).outcome().await;
        assert_eq!(greeting(&outcome.result.unwrap()), "Hello, world!");
        assert!(outcome.report.exit.unwrap().status.is_success());
        assert_eq!(engine.status(&token).unwrap().name, "sample");
        engine.delete(&token).await.unwrap();
        assert!(engine.list().is_empty());
        engine.shutdown().await;
        let error = engine.execute(&token, hello().into(), patient()).await.unwrap_err();
        assert!(error.retryable() && error.name() == "shut_down", "{error:?}");
    }

    async fn code_can_be_loaded_from_bytes(bed: TestBed) {
        let service = bed.service().await;
        let bytes = std::fs::read(udf("new_udf")).unwrap();
        let code = service.load(bytes, workers(1)).await.unwrap();
        let answer = service.execute(&code, hello(), patient()).await.unwrap();
        assert_eq!(greeting(&answer), "I am a new UDF!");
        service.shutdown().await;
    }

    async fn a_crash_before_readiness_is_reported_with_its_output(bed: TestBed) {
        let service = bed.service().await;
        let error = service.load(udf("abort_early_udf"), workers(2)).await.unwrap_err();
        assert!(matches!(error, Error::StartCrashed { .. }), "{error:?}");
        let error = service.load(udf("misbehaving_udf"), with_argument("crash")).await.unwrap_err();
        // Not SIGABRT: the first process of a PID namespace ignores that signal.
        assert!(error.exit().unwrap().status.signal().is_some(), "{error}");
        assert_eq!(error.log_tail(), Some("no model to be found\n"));
        assert_eq!(error.fault(), Fault::Udf);
        let error = service.load(udf("misbehaving_udf"), with_argument("exit")).await.unwrap_err();
        assert_eq!(error.exit().unwrap().status, ExitStatus::Code(3), "{error}");
        assert!(service.list().is_empty());
        service.shutdown().await;
    }

    async fn errors_show_escapes_of_a_udf_and_keep_them_as_data(bed: TestBed) {
        let service = bed.service().await;
        let load = service.load(udf("misbehaving_udf"), with_argument("crash with escapes"));
        let unloaded = load.await.unwrap_err();
        let code = service.load(udf("misbehaving_udf"), logging()).await.unwrap();
        let unanswered = service.execute(&code, "escapes-and-exit", patient()).await.unwrap_err();
        for error in [unloaded, unanswered] {
            let text = error.to_string();
            assert!(text.contains("before \\u001b[2J\\u009b2J"), "{text:?}");
            assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
            assert!(error.log_tail().unwrap().starts_with("before \x1b[2J"), "{error:?}");
        }
        let report = service.execute(&code, "escapes", patient()).report().await;
        assert!(report.logs.unwrap().text.starts_with("before \x1b[2J\u{9b}"), "logs are data");
        service.shutdown().await;
    }

    async fn code_that_is_never_ready_is_reported_with_its_output(bed: TestBed) {
        let service = bed.service().await;
        let options =
            LoadOptions { start_timeout: Duration::from_secs(1), ..with_argument("never ready") };
        let error = service.load(udf("misbehaving_udf"), options).await.unwrap_err();
        assert!(matches!(error, Error::NeverReady { .. }), "{error:?}");
        assert_eq!(error.log_tail(), Some("loading the model ...\n"));
        assert!(service.list().is_empty());
        service.shutdown().await;
    }

    async fn output_does_not_leave_the_sandbox_by_default(bed: TestBed) {
        let service = bed.service().await;
        let code = service.load(udf("log_udf"), workers(2)).await.unwrap();
        for _ in 0..5 {
            let Outcome { result, report } = service.execute(&code, log_request(), patient()).outcome().await;
            result.unwrap();
            assert_eq!(report.logs, None);
        }
        service.shutdown().await;
    }

    async fn requested_logs_are_complete(bed: TestBed) {
        let service = bed.service().await;
        let code = service.load(udf("log_udf"), logging()).await.unwrap();
        for _ in 0..10 {
            let Outcome { result, report } = service.execute(&code, log_request(), patient()).outcome().await;
            result.unwrap();
            let logs = report.logs.unwrap();
            assert_eq!(logs.text, "I am a stdout log.\nI am a stderr log.\nI am a late log.\n");
            assert_eq!(logs.dropped, 0);
        }
        service.shutdown().await;
    }

    async fn long_logs_keep_their_end(bed: TestBed) {
        let service = bed.service().await;
        let options = LoadOptions { logs: Logs::Tail { max_bytes: 16 }, ..workers(1) };
        let code = service.load(udf("log_udf"), options).await.unwrap();
        let report = service.execute(&code, log_request(), patient()).report().await;
        let logs = report.logs.unwrap();
        assert_eq!(logs.text, " am a late log.\n");
        assert_eq!(logs.dropped, 39);
        service.shutdown().await;
    }

    async fn code_loaded_from_a_token_outlives_the_original(bed: TestBed) {
        let service = bed.service().await;
        for _ in 0..2 {
            let original = service.load(udf("log_udf"), workers(1)).await.unwrap();
            let logged = service.load(original, logging()).await.unwrap();
            let report = service.execute(&original, log_request(), patient()).report().await;
            assert_eq!(report.logs, None);
            service.delete(&original).await.unwrap();
            let Outcome { result, report } = service.execute(&logged, log_request(), patient()).outcome().await;
            result.unwrap();
            assert!(report.logs.unwrap().text.contains("stdout"));
            let gone = service.load(original, logging()).await.unwrap_err();
            assert!(matches!(gone, Error::UnknownToken(_)));
            service.delete(&logged).await.unwrap();
        }
        service.shutdown().await;
    }

    async fn code_without_a_readiness_byte_is_served(bed: TestBed) {
        let service = bed.service().await;
        let options = LoadOptions { readiness: Readiness::None, ..with_argument("silent") };
        let code = service.load(udf("misbehaving_udf"), options).await.unwrap();
        for _ in 0..10 {
            let answer = service.execute(&code, "hello", patient()).await.unwrap();
            assert_eq!(answer, "hello");
        }
        service.shutdown().await;
    }

    async fn a_burst_right_after_loading_is_answered(bed: TestBed) {
        let service = bed.service().await;
        let options = LoadOptions { workers: 4, ..with_argument("slow") };
        let code = service.load(udf("misbehaving_udf"), options).await.unwrap();
        let burst = (0..8).map(|_| service.execute(&code, "hello", patient()));
        let mut answers = tokio::task::JoinSet::new();
        burst.for_each(|execution| {
            answers.spawn(execution);
        });
        for answer in answers.join_all().await {
            assert_eq!(answer.unwrap(), "hello");
        }
        service.shutdown().await;
    }

    async fn a_request_that_times_out_in_the_queue_costs_no_worker(bed: TestBed) {
        let service = bed.service().await;
        let options = LoadOptions { max_live: Some(1), ..with_argument("slow") };
        let code = service.load(udf("misbehaving_udf"), options).await.unwrap();
        service.execute(&code, "one", patient()).await.unwrap();
        // Each request gives up before a worker is ready. If each cost a worker, none would ever be ready.
        let impatient = ExecuteOptions { queue_timeout: Duration::from_millis(40), ..patient() };
        let mut served = 0;
        for _ in 0..200 {
            match service.execute(&code, "two", impatient.clone()).await {
                Ok(_) => served += 1,
                Err(Error::NoWorker { .. }) => {}
                Err(other) => panic!("{other:?}"),
            }
            if served == 2 {
                break;
            }
        }
        assert_eq!(served, 2);
        service.shutdown().await;
    }

    async fn environment_and_arguments_are_exactly_those_of_the_options(bed: TestBed) {
        let service = bed.service().await;
        let code = service.load(udf("misbehaving_udf"), workers(1)).await.unwrap();
        assert_eq!(service.execute(&code, "environment", patient()).await.unwrap(), "");
        let options = LoadOptions {
            env: vec![("MODEL".into(), "small one".into())],
            args: vec!["a".into(), "b c".into()],
            ..workers(1)
        };
        let code = service.load(udf("misbehaving_udf"), options).await.unwrap();
        let environment = service.execute(&code, "environment", patient()).await.unwrap();
        assert_eq!(environment, "MODEL=small one\n");
        let mut execution = service.execute(&code, "arguments", patient());
        let arguments = (&mut execution).await.unwrap();
        let name = execution.report().await.worker.unwrap();
        assert_eq!(arguments, format!("{name}\n3\na\nb c"));
        service.shutdown().await;
    }

    async fn status_counts_workers_and_names_the_code(bed: TestBed) {
        let service = bed.service().await;
        let options = LoadOptions { name: "scorer".into(), ..workers(3) };
        let code = service.load(udf("echo_udf"), options).await.unwrap();
        loop {
            let status = service.status(&code).unwrap();
            assert!(status.is_healthy() && status.name == "scorer" && status.token == code);
            assert!(status.started <= 3, "the worker that proved the load was used up");
            if status.counts.ready == 3 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        service.shutdown().await;
    }

    async fn a_busy_worker_is_replaced_before_its_request_ends(bed: TestBed) {
        let service = bed.service().await;
        let code = service.load(udf("misbehaving_udf"), workers(4)).await.unwrap();
        let counts = || service.status(&code).unwrap().counts;
        let settled = async |busy| {
            until("the counts settle", || (counts().busy, counts().ready) == (busy, 4)).await;
        };
        settled(0).await;
        let long = tokio::spawn(service.execute(&code, "drip", patient()));
        // Three of four workers are left: a replacement is not urgent, but comes soon.
        settled(1).await;
        long.abort();
        service.shutdown().await;
    }

    async fn idle_workers_stay_ready(bed: TestBed) {
        let service = bed.service().await;
        let options = LoadOptions { start_timeout: Duration::from_secs(4), ..workers(3) };
        let code = service.load(udf("echo_udf"), options).await.unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
        let status = service.status(&code).unwrap();
        assert_eq!((status.started, status.counts.ready), (3, 3), "{status:?}");
        service.shutdown().await;
    }
}
