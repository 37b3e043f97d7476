//! A generated client calls the samples in all languages through the engine.

use std::path::PathBuf;

use roma_byob::{CodeToken, LoadOptions, Mode, ServiceBuilder};
use roma_sample_proto::roma::sample::prime_sieve_request::Limit;
use roma_sample_proto::roma::sample::sample_request::Task;
use roma_sample_proto::roma::sample::sample_response::Outcome;
use roma_sample_proto::roma::sample::{
    HelloWorldRequest, LogRequest, PrimeSieveRequest, SampleRequest, SortListRequest,
};
use sample_client::ByobSampleService;
use sample_testing::{gvisor, minimal, patient, program, programs};

async fn ask(client: &ByobSampleService, code: &CodeToken, task: Task) -> Outcome {
    let request = SampleRequest { task: Some(task) };
    let response = client.run(code, &request, patient()).await.unwrap();
    response.outcome.unwrap()
}

async fn answers(client: &ByobSampleService, udf: PathBuf) {
    // Arguments of the server team do not keep a UDF from serving.
    let options = LoadOptions {
        args: vec!["--model=small".to_owned()],
        ..LoadOptions::with_workers(2)
    };
    let code = client.register(udf, options).await.unwrap();
    let hello = ask(client, &code, Task::HelloWorld(HelloWorldRequest {})).await;
    assert!(matches!(hello, Outcome::HelloWorld(hello) if hello.greeting == "Hello, world!"));
    let sieve = Task::PrimeSieve(PrimeSieveRequest {
        limit: Some(Limit::UpTo(30)),
    });
    let Outcome::PrimeSieve(sieve) = ask(client, &code, sieve).await else {
        panic!("unexpected outcome")
    };
    assert_eq!(sieve.prime_count, 10);
    let sort = Task::SortList(SortListRequest { length: 1000 });
    assert!(
        matches!(ask(client, &code, sort).await, Outcome::SortList(sorted) if sorted.length == 1000)
    );
    client.delete(&code).await.unwrap();
}

async fn serves_every_language(config: ServiceBuilder, mode: Mode) {
    let client = ByobSampleService::create(config, mode).await.unwrap();
    assert_eq!(client.service().mode(), mode);
    for udf in programs("SAMPLE_UDFS") {
        answers(&client, udf).await;
    }
    client.shutdown().await;
}

#[tokio::test]
async fn in_gvisor() {
    let folder = tempfile::tempdir().unwrap();
    serves_every_language(gvisor(folder.path()), Mode::Gvisor).await;
}

#[tokio::test]
async fn in_minimal_mode() {
    let folder = tempfile::tempdir().unwrap();
    serves_every_language(minimal(folder.path()), Mode::Minimal).await;
}

#[tokio::test]
async fn logs_come_with_the_report_and_an_execution_can_be_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    let client = ByobSampleService::create(minimal(folder.path()), Mode::Minimal)
        .await
        .unwrap();
    let code = client.register(program("LOG_UDF"), 1).await.unwrap();
    let logging = client.register_for_logging(code, 1).await.unwrap();
    client.delete(&code).await.unwrap();
    let log = Task::Log(LogRequest {
        standard_error: "I was here".into(),
        ..Default::default()
    });
    let request = SampleRequest { task: Some(log) };
    let execution = client.run(&logging, &request, patient());
    let outcome = execution.outcome().await;
    assert!(outcome.result.is_ok());
    let logs = outcome.report.logs.unwrap();
    assert!(logs.text.contains("I was here"), "{logs:?}");

    let execution = client.run(&logging, &request, patient());
    client.cancel(&execution.canceller());
    let error = execution.await.unwrap_err();
    assert!(matches!(error, roma_byob::Error::Cancelled), "{error:?}");
    client.shutdown().await;
}
