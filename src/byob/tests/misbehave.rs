//! UDFs that break the protocol or do not end: each fails its own request and nothing else.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::time::Duration;

use roma_byob::{
    CodeToken, Error, ExecuteOptions, ExitStatus, Fault, Limits, LoadOptions, Outcome,
    ResponseError, Service,
};
use roma_sandbox::step::Step;

use common::requests::{assert_echoes, until_ready};
use common::{TestBed, in_every_sandbox, is_root, patient, udf, workers};

async fn load_misbehaving(bed: &TestBed, options: LoadOptions) -> (Service, CodeToken) {
    let service = bed.service().await;
    let code = service.load(udf("misbehaving_udf"), options).await.unwrap();
    (service, code)
}

in_every_sandbox! {
    async fn each_defect_of_a_response_is_its_own_error(bed: TestBed) {
        let options = LoadOptions { max_response: 1000, ..workers(2) };
        let (service, code) = load_misbehaving(&bed, options).await;
        let defect_of = async |request: &'static str| {
            match service.execute(&code, request, patient()).await.unwrap_err() {
                Error::Response(defect) => defect,
                other => panic!("{request}: {other:?}"),
            }
        };
        assert_eq!(defect_of("truncated").await, ResponseError::Truncated);
        assert_eq!(defect_of("truncated-length").await, ResponseError::Truncated);
        assert_eq!(defect_of("trailing").await, ResponseError::Trailing);
        assert_eq!(defect_of("malformed").await, ResponseError::Malformed);
        assert_eq!(defect_of("overlong").await, ResponseError::Malformed);
        assert!(matches!(defect_of("oversize").await, ResponseError::Oversize { limit: 1000, .. }));
        assert_echoes(&service, &code).await;
        service.shutdown().await;
    }

    async fn a_response_that_is_there_before_its_request_is_the_udfs_fault(bed: TestBed) {
        let options = LoadOptions { args: vec!["answer ahead".to_owned()], ..workers(1) };
        let (service, code) = load_misbehaving(&bed, options).await;
        for _ in 0..5 {
            // A request that meets a worker which is not ready may be sent before the response.
            until_ready(&service, &code, 1).await;
            let error = service.execute(&code, "hello", patient()).await.unwrap_err();
            assert!(matches!(error, Error::Response(ResponseError::Early)), "{error:?}");
            assert_eq!(error.fault(), Fault::Udf);
        }
        service.shutdown().await;
    }

    async fn a_closed_connection_and_a_crash_are_different_errors(bed: TestBed) {
        let options = LoadOptions { exit_grace: Duration::from_millis(100), ..workers(2) };
        let (service, code) = load_misbehaving(&bed, options).await;
        let error = service.execute(&code, "mute", patient()).await.unwrap_err();
        assert!(matches!(error, Error::Response(ResponseError::Missing)), "{error:?}");
        let error = service.execute(&code, "exit 9", patient()).await.unwrap_err();
        assert_eq!(error.exit().unwrap().status, ExitStatus::Code(9), "{error:?}");
        assert_echoes(&service, &code).await;
        service.shutdown().await;
    }

    async fn a_deadline_ends_an_endless_response(bed: TestBed) {
        let (service, code) = load_misbehaving(&bed, workers(2)).await;
        let options = ExecuteOptions { deadline: Duration::from_millis(300), ..patient() };
        let error = service.execute(&code, "drip", options).await.unwrap_err();
        assert!(matches!(error, Error::Deadline { .. }), "{error:?}");
        assert_echoes(&service, &code).await;
        service.shutdown().await;
    }

    async fn a_udf_that_lingers_after_its_response_is_killed(bed: TestBed) {
        let grace = Duration::from_millis(100);
        let options = LoadOptions { exit_grace: grace, max_live: Some(1), ..workers(1) };
        let (service, code) = load_misbehaving(&bed, options).await;
        for _ in 0..3 {
            let Outcome { result, report } = service.execute(&code, "linger", patient()).outcome().await;
            assert_eq!(result.unwrap(), "bye");
            assert_eq!(report.exit.unwrap().status, ExitStatus::Signal(9));
        }
        service.shutdown().await;
    }

    async fn the_limit_of_processor_time_holds(bed: TestBed) {
        let mut limits = Limits::default();
        limits.cpu_time = Some(Duration::from_secs(1));
        let (service, code) = load_misbehaving(&bed, LoadOptions { limits, ..workers(1) }).await;
        let error = service.execute(&code, "burn", patient()).await.unwrap_err();
        assert!(error.exit().unwrap().status.signal().is_some(), "{error:?}");
        assert_echoes(&service, &code).await;
        service.shutdown().await;
    }

    async fn the_limit_of_memory_holds(bed: TestBed) {
        let mut limits = Limits::default();
        limits.address_space = Some(256 << 20);
        let (service, code) = load_misbehaving(&bed, LoadOptions { limits, ..workers(1) }).await;
        let error = service.execute(&code, "hoard", patient()).await.unwrap_err();
        assert!(matches!(error, Error::Died { .. }), "{error:?}");
        assert_echoes(&service, &code).await;
        service.shutdown().await;
    }

    async fn tmp_is_writable_only_if_requested_and_empty_for_each_request(bed: TestBed) {
        let (service, code) = load_misbehaving(&bed, workers(1)).await;
        let answer = service.execute(&code, "tmp secret", patient()).await.unwrap();
        assert!(answer.starts_with(b"cannot write"), "{answer:?}");
        let options = LoadOptions { private_tmp: Some(1 << 20), ..workers(1) };
        let code = service.load(code, options).await.unwrap();
        for _ in 0..3 {
            assert_eq!(service.execute(&code, "tmp secret", patient()).await.unwrap(), "wrote");
        }
        service.shutdown().await;
    }

    async fn proc_is_mounted_only_if_requested_and_shows_one_process(bed: TestBed) {
        let (service, code) = load_misbehaving(&bed, workers(1)).await;
        let answer = service.execute(&code, "read /proc/self/status", patient()).await.unwrap();
        assert!(answer.starts_with(b"error"), "{answer:?}");
        let options = LoadOptions { proc: true, ..workers(1) };
        let code = match service.load(code, options).await {
            Ok(code) => code,
            // Linux lets an ordinary user mount `/proc` only where another is visible.
            Err(Error::WorkerStart(failure)) if !bed.is_gvisor() && !is_root() => {
                assert_eq!(failure.step, Step::MountProc);
                return service.shutdown().await;
            }
            Err(error) => panic!("{error:?}"),
        };
        let answer = service.execute(&code, "read /proc/self/status", patient()).await.unwrap();
        let text = String::from_utf8_lossy(&answer).into_owned();
        assert!(text.lines().any(|line| line.split_whitespace().eq(["Pid:", "1"])), "{text}");
        service.shutdown().await;
    }
}
