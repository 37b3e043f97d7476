//! Requests and responses, cancellation, deletion, queues and deadlines.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::time::Duration;

use prost::Message;
use roma_byob::{
    Error, ExecuteOptions, ExitStatus, Fault, GrpcCode, LoadOptions, Outcome, ResponseError,
};
use roma_sample_proto::roma::example::{EchoRequest, EchoResponse};
use roma_sample_proto::roma::sample::prime_sieve_request::Limit;
use roma_sample_proto::roma::sample::{
    HelloWorldRequest, PayloadWriteRequest, PrimeSieveRequest, SampleRequest, SampleResponse,
};

use common::messages::{Task, greeting, hello, request};
use common::requests::{assert_greets, until_busy};
use common::{PATIENCE, in_every_sandbox, patient, udf, until, workers};

in_every_sandbox! {
    async fn a_hundred_requests_are_answered(bed: TestBed) {
        let service = bed.service().await;
        let code = service.load(udf("echo_udf"), workers(10)).await.unwrap();
        for number in 0..100 {
            let message = EchoRequest { message: format!("hello {number}").into_bytes() };
            let response: EchoResponse = service.call(&code, &message, patient()).await.unwrap();
            assert_eq!(response.message, message.message);
        }
        service.shutdown().await;
    }

    async fn the_report_has_exit_status_sizes_times_and_usage(bed: TestBed) {
        let service = bed.service().await;
        let code = service.load(udf("sample_udf"), workers(1)).await.unwrap();
        let sieve = request(Task::PrimeSieve(PrimeSieveRequest { limit: Some(Limit::UpTo(300_000)) }));
        let size = sieve.len();
        let mut execution = service.execute(&code, sieve, patient());
        let id = execution.id();
        let response = (&mut execution).await.unwrap();
        let report = execution.report().await;
        assert_eq!(report.id, id);
        assert_eq!(report.exit.unwrap().status, ExitStatus::Code(0));
        assert_eq!((report.request_bytes, report.response_bytes), (size, response.len()));
        assert!(report.exit.unwrap().usage.cpu_time() > Duration::ZERO);
        assert!(bed.is_gvisor() || report.exit.unwrap().usage.peak_memory > 0);
        assert!(report.times.run > Duration::ZERO && report.worker.is_some() && report.logs.is_none());
        service.shutdown().await;
    }

    async fn a_udf_that_ends_without_a_response_fails_only_its_request(bed: TestBed) {
        let service = bed.service().await;
        let code = service.load(udf("sample_udf"), workers(2)).await.unwrap();
        for _ in 0..20 {
            let error = service.execute(&code, Vec::new(), patient()).await.unwrap_err();
            assert!(matches!(error, Error::Died { .. }), "{error:?}");
            assert_eq!(error.fault(), Fault::Udf);
            assert!(error.exit().unwrap().status.code().is_some_and(|code| code != 0), "{error}");
            assert_greets(&service, &code).await;
        }
        service.shutdown().await;
    }

    async fn a_complete_response_is_returned_even_if_the_udf_then_fails(bed: TestBed) {
        let service = bed.service().await;
        let late = service.load(udf("abort_late_udf"), workers(1)).await.unwrap();
        let nonzero = service.load(udf("nonzero_return_udf"), workers(1)).await.unwrap();
        for _ in 0..10 {
            let Outcome { result, report } = service.execute(&late, hello(), patient()).outcome().await;
            assert!(!greeting(&result.unwrap()).is_empty());
            assert!(report.exit.unwrap().status.signal().is_some(), "{:?}", report.exit);
            let Outcome { result, report } = service.execute(&nonzero, hello(), patient()).outcome().await;
            assert!(!greeting(&result.unwrap()).is_empty());
            assert!(report.exit.unwrap().status.code().unwrap() != 0);
        }
        service.shutdown().await;
    }

    async fn each_request_goes_to_its_own_code(bed: TestBed) {
        let service = bed.service().await;
        let sample = service.load(udf("sample_udf"), workers(4)).await.unwrap();
        let new = service.load(udf("new_udf"), workers(4)).await.unwrap();
        for _ in 0..10 {
            let one = service.execute(&sample, hello(), patient());
            let two = service.execute(&new, hello(), patient());
            let (one, two) = tokio::join!(one, two);
            assert_eq!(greeting(&one.unwrap()), "Hello, world!");
            assert_eq!(greeting(&two.unwrap()), "I am a new UDF!");
        }
        assert_eq!(service.list().len(), 2);
        service.shutdown().await;
    }

    async fn many_requests_at_once_wait_for_few_workers(bed: TestBed) {
        let service = bed.service().await;
        let code = service.load(udf("echo_udf"), workers(2)).await.unwrap();
        let mut executions = tokio::task::JoinSet::new();
        for number in 0..60_u32 {
            let service = service.clone();
            executions.spawn(async move {
                let message = EchoRequest { message: number.to_le_bytes().to_vec() };
                let response: EchoResponse = service.call(&code, &message, patient()).await.unwrap();
                assert_eq!(response.message, message.message);
            });
        }
        while let Some(done) = executions.join_next().await {
            done.unwrap();
        }
        service.shutdown().await;
    }

    async fn cancel_ends_a_hung_udf_at_once(bed: TestBed) {
        let service = bed.service().await;
        let code = service.load(udf("pause_udf"), workers(2)).await.unwrap();
        let mut execution = service.execute(&code, hello(), patient());
        let early = tokio::time::timeout(Duration::from_millis(300), &mut execution).await;
        assert!(early.is_err(), "a hung UDF does not answer");
        let canceller = execution.canceller();
        tokio::spawn(async move { canceller.cancel() });
        let Outcome { result, report } = execution.outcome().await;
        assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
        assert_eq!(report.exit.unwrap().status, ExitStatus::Signal(9));
        service.shutdown().await;
    }

    async fn delete_ends_a_hung_udf_and_other_code_can_be_loaded(bed: TestBed) {
        let service = bed.service().await;
        let code = service.load(udf("pause_udf"), workers(2)).await.unwrap();
        let mut execution = service.execute(&code, hello(), patient());
        let early = tokio::time::timeout(Duration::from_millis(300), &mut execution).await;
        assert!(early.is_err(), "a hung UDF does not answer");
        assert!(service.is_loaded(&code));
        service.delete(&code).await.unwrap();
        assert!(matches!(execution.await, Err(Error::Deleted)));
        let error = service.execute(&code, hello(), patient()).await.unwrap_err();
        assert!(matches!(error, Error::UnknownToken(token) if token == code));
        assert!(!service.is_loaded(&code));
        assert!(matches!(service.delete(&code).await, Err(Error::UnknownToken(_))));
        let new = service.load(udf("new_udf"), workers(1)).await.unwrap();
        let answer = service.execute(&new, hello(), patient()).await.unwrap();
        assert_eq!(greeting(&answer), "I am a new UDF!");
        service.shutdown().await;
    }

    async fn a_deadline_ends_a_hung_udf(bed: TestBed) {
        let service = bed.service().await;
        let code = service.load(udf("pause_udf"), workers(1)).await.unwrap();
        let options = ExecuteOptions { deadline: Duration::from_millis(200), ..patient() };
        let Outcome { result, report } = service.execute(&code, hello(), options).outcome().await;
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Deadline { .. }), "{error:?}");
        assert_eq!(error.grpc_code(), GrpcCode::DeadlineExceeded);
        assert_eq!(report.exit.unwrap().status, ExitStatus::Signal(9));
        service.shutdown().await;
    }

    async fn a_deadline_of_zero_ends_at_once_without_a_process(bed: TestBed) {
        let service = bed.service().await;
        let code = service.load(udf("echo_udf"), workers(1)).await.unwrap();
        let options = ExecuteOptions { deadline: Duration::ZERO, ..patient() };
        for _ in 0..50 {
            let Outcome { result, report } = service.execute(&code, hello(), options.clone()).outcome().await;
            let error = result.unwrap_err();
            assert!(matches!(error, Error::Deadline { .. }), "{error:?}");
            assert_eq!((error.fault(), error.grpc_code()), (Fault::Caller, GrpcCode::DeadlineExceeded));
            assert!(report.worker.is_none() && report.exit.is_none(), "{report:?}");
        }
        assert_eq!(service.status(&code).unwrap().started, 1, "no worker was used up");
        service.shutdown().await;
    }

    async fn a_dropped_execution_makes_room_for_another_worker(bed: TestBed) {
        let service = bed.service().await;
        let options = LoadOptions { max_live: Some(1), ..workers(1) };
        let code = service.load(udf("pause_udf"), options).await.unwrap();
        for _ in 0..5 {
            let mut execution = service.execute(&code, hello(), patient());
            let _ = tokio::time::timeout(Duration::from_millis(20), &mut execution).await;
        }
        let options = ExecuteOptions { deadline: Duration::from_millis(50), ..patient() };
        let error = service.execute(&code, hello(), options).await.unwrap_err();
        assert!(matches!(error, Error::Deadline { .. }), "the request got no worker: {error:?}");
        service.shutdown().await;
    }

    async fn requests_fail_when_the_pool_or_its_queue_is_full(bed: TestBed) {
        let service = bed.service().await;
        let options = LoadOptions { max_live: Some(1), max_waiting: 1, ..workers(1) };
        let code = service.load(udf("pause_udf"), options).await.unwrap();
        let running = tokio::spawn(service.execute(&code, hello(), patient()));
        until_busy(&service, &code).await;
        let at_once = ExecuteOptions { queue_timeout: Duration::ZERO, ..patient() };
        let error = service.execute(&code, hello(), at_once).await.unwrap_err();
        assert!(matches!(error, Error::NoWorker { cause: None, .. }), "{error:?}");
        assert!(error.retryable() && error.grpc_code() == GrpcCode::ResourceExhausted);
        let waiting = tokio::spawn(service.execute(&code, hello(), patient()));
        until("a request waits", || service.status(&code).unwrap().counts.waiting > 0).await;
        let error = service.execute(&code, hello(), patient()).await.unwrap_err();
        assert!(matches!(error, Error::QueueFull { limit: 1 }), "{error:?}");
        service.shutdown().await;
        assert!(matches!(running.await.unwrap(), Err(Error::ShutDown)));
        assert!(matches!(waiting.await.unwrap(), Err(Error::ShutDown)));
    }

    async fn callbacks_are_called_once_with_result_and_report(bed: TestBed) {
        let service = bed.service().await;
        let code = service.load(udf("sample_udf"), workers(2)).await.unwrap();
        let (send, receive) = std::sync::mpsc::channel();
        for _ in 0..10 {
            let send = send.clone();
            service.execute_with_callback(&code, hello(), patient(), move |outcome| {
                send.send(outcome).unwrap();
            });
        }
        drop(send);
        let answers = tokio::task::spawn_blocking(move || receive.iter().collect::<Vec<_>>()).await.unwrap();
        assert_eq!(answers.len(), 10);
        for Outcome { result, report } in answers {
            assert_eq!(greeting(&result.unwrap()), "Hello, world!");
            assert!(report.exit.unwrap().status.is_success());
        }
        service.shutdown().await;
    }

    async fn a_callback_is_called_when_its_execution_is_cancelled(bed: TestBed) {
        let service = bed.service().await;
        let code = service.load(udf("pause_udf"), workers(1)).await.unwrap();
        let (send, receive) = tokio::sync::oneshot::channel();
        let canceller = service.execute_with_callback(&code, hello(), patient(), |outcome| {
            send.send(outcome.result).unwrap();
        });
        until_busy(&service, &code).await;
        canceller.cancel();
        let result = tokio::time::timeout(PATIENCE, receive).await.unwrap().unwrap();
        assert!(matches!(result, Err(Error::Cancelled)));
        service.shutdown().await;
    }

    async fn large_payloads_pass_and_their_limits_hold(bed: TestBed) {
        let service = bed.service().await;
        let echo = service.load(udf("echo_udf"), workers(1)).await.unwrap();
        let message = EchoRequest { message: vec![7; 8 << 20] };
        let response: EchoResponse = service.call(&echo, &message, patient()).await.unwrap();
        assert!(response.message == message.message, "8 MiB come back unchanged");
        let options = LoadOptions { max_request: 1000, max_response: 1000, ..workers(1) };
        let code = service.load(udf("payload_write_udf"), options).await.unwrap();
        let write = |size| {
            request(Task::PayloadWrite(PayloadWriteRequest { element_size: size, element_count: 1 }))
        };
        service.execute(&code, write(900), patient()).await.unwrap();
        let error = service.execute(&code, write(5000), patient()).await.unwrap_err();
        let Error::Response(ResponseError::Oversize { size, limit: 1000 }) = error else {
            panic!("{error:?}")
        };
        assert!(size >= 5000);
        let error = service.execute(&code, vec![0; 1001], patient()).await.unwrap_err();
        assert!(matches!(error, Error::RequestTooLarge { size: 1001, limit: 1000 }), "{error:?}");
        service.shutdown().await;
    }

    async fn a_response_that_cannot_be_decoded_is_the_udfs_fault(bed: TestBed) {
        let service = bed.service().await;
        let code = service.load(udf("echo_udf"), workers(1)).await.unwrap();
        let message = EchoRequest { message: b"\xff\xff\xff".to_vec() };
        let execution = service.execute(&code, message.encode_to_vec(), patient());
        assert!(execution.await.is_ok());
        // The same bytes are not a valid message of another type.
        let error = service.call::<SampleResponse>(&code, &message, patient()).await.unwrap_err();
        assert!(matches!(error, Error::Response(ResponseError::Undecodable(_))), "{error:?}");
        assert_eq!(error.fault(), Fault::Udf);
        service.shutdown().await;
    }

    async fn an_empty_task_is_answered(bed: TestBed) {
        let service = bed.service().await;
        let code = service.load(udf("sample_udf"), workers(1)).await.unwrap();
        let empty: SampleResponse =
            service.call(&code, &SampleRequest { task: Some(Task::HelloWorld(HelloWorldRequest {})) }, patient())
                .await
                .unwrap();
        assert!(empty.outcome.is_some());
        service.shutdown().await;
    }
}
