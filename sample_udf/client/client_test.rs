//! A generated client drives the samples of every language through the engine.

use std::path::PathBuf;
use std::time::Duration;

use roma_byob::{CodeToken, ExecuteOptions, LoadOptions, Mode, Platform, Service, ServiceBuilder};
use roma_sample_proto::roma::sample::prime_sieve_request::Limit;
use roma_sample_proto::roma::sample::sample_request::Task;
use roma_sample_proto::roma::sample::sample_response::Outcome;
use roma_sample_proto::roma::sample::{
    HelloWorldRequest, LogRequest, PrimeSieveRequest, SampleRequest, SortListRequest,
};
use sample_client::ByobSampleService;

/// Bounds hangs, never speed.
const PATIENCE: Duration = Duration::from_secs(60);

fn program(variable: &str) -> PathBuf {
    std::path::absolute(std::env::var_os(variable).unwrap()).unwrap()
}

fn udfs() -> Vec<PathBuf> {
    let names = std::env::var("SAMPLE_UDFS").unwrap();
    names
        .split(':')
        .map(|name| std::path::absolute(name).unwrap())
        .collect()
}

fn config(folder: &tempfile::TempDir) -> ServiceBuilder {
    Service::builder()
        .run_dir(folder.path())
        .run_workers(program("ROMA_RUN_WORKERS"))
        .obey_environment(false)
}

fn patient() -> ExecuteOptions {
    ExecuteOptions {
        queue_timeout: PATIENCE,
        deadline: PATIENCE,
        ..Default::default()
    }
}

async fn ask(client: &ByobSampleService, code: &CodeToken, task: Task) -> Outcome {
    let request = SampleRequest { task: Some(task) };
    let response = client.run(code, &request, patient()).await.unwrap();
    response.outcome.unwrap()
}

async fn answers(client: &ByobSampleService, udf: PathBuf) {
    // What the server team says to a UDF does not keep it from serving.
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
        panic!("another outcome")
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
    for udf in udfs() {
        answers(&client, udf).await;
    }
    client.shutdown().await;
}

#[tokio::test]
async fn in_gvisor() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&folder)
        .runsc(program("ROMA_RUNSC"))
        .platform(Platform::Systrap);
    serves_every_language(config, Mode::Gvisor).await;
}

#[tokio::test]
async fn in_minimal_mode() {
    let folder = tempfile::tempdir().unwrap();
    serves_every_language(config(&folder), Mode::Minimal).await;
}

#[tokio::test]
async fn logs_come_with_the_report_and_an_execution_can_be_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    let client = ByobSampleService::create(config(&folder), Mode::Minimal)
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
