//! UDFs in all languages call a host with typed functions.

use std::path::PathBuf;

use ask_host_client::ByobAskHostService;
use host_calls_messages::roma::sample::host_calls::{
    Answer, AskHostRequest, Payload, Question, Size,
};
use roma_byob::{
    Error, ExecuteOptions, GrpcCode, HostCall, HostCallError, LoadOptions, Metadata, Mode,
    ServiceBuilder,
};
use sample_host::SampleHostService;
use sample_testing::{gvisor, minimal, patient, programs};

struct Customer(&'static str);

struct Host;

impl SampleHostService for Host {
    async fn ask(&self, request: Question, call: HostCall) -> Result<Answer, HostCallError> {
        let customer = call.metadata.get::<Customer>().map_or("nobody", |it| it.0);
        let text = format!("{} of {customer}", request.text);
        Ok(Answer { text })
    }

    async fn take(&self, request: Payload, _: HostCall) -> Result<Size, HostCallError> {
        let bytes = request.data.len() as u64;
        Ok(Size { bytes })
    }

    async fn give(&self, request: Size, _: HostCall) -> Result<Payload, HostCallError> {
        let data = vec![7; request.bytes as usize];
        Ok(Payload { data })
    }

    async fn refuse(&self, _: Question, call: HostCall) -> Result<Answer, HostCallError> {
        let message = format!("{} is closed", call.function);
        Err(HostCallError::new(GrpcCode::FailedPrecondition, message))
    }
}

fn for_customer(name: &'static str) -> ExecuteOptions {
    ExecuteOptions {
        metadata: Metadata::new(Customer(name)),
        ..patient()
    }
}

fn request(payload_bytes: u64) -> AskHostRequest {
    AskHostRequest {
        question: "last order".to_owned(),
        payload_bytes,
    }
}

async fn calls_its_host(client: &ByobAskHostService, udf: PathBuf) {
    let options = LoadOptions::with_workers(2).calling_host();
    let code = client.register(&*udf, options).await.unwrap();
    for customer in ["acme", "umbrella"] {
        for payload_bytes in [0, 1 << 10, 1 << 19] {
            let execution = client.ask_host(&code, &request(payload_bytes), for_customer(customer));
            let response = execution.await.unwrap();
            assert_eq!(response.answer, format!("last order of {customer}"));
            assert_eq!(response.sent_bytes, payload_bytes);
            assert_eq!(response.received_bytes, payload_bytes);
            assert_eq!(response.refusal_code, GrpcCode::FailedPrecondition as i32);
            assert_eq!(
                response.refusal,
                "roma.sample.host_calls.SampleHostService/Refuse is closed"
            );
        }
    }
    client.delete(&code).await.unwrap();
}

/// A UDF gets an error for a call that is too large, and if the code was loaded without host functions.
async fn gets_an_error_for_invalid_calls(client: &ByobAskHostService, udf: PathBuf) {
    let options = LoadOptions::with_workers(1).calling_host().keeping_logs();
    let code = client.register(&*udf, options).await.unwrap();
    let execution = client.ask_host(&code, &request(2 << 20), for_customer("acme"));
    let error = execution.await.unwrap_err();
    assert!(matches!(error, Error::Died { .. }), "{udf:?}: {error:?}");
    let silent = client.register(code, 1).await.unwrap();
    let execution = client.ask_host(&silent, &request(1), for_customer("acme"));
    let error = execution.await.unwrap_err();
    assert!(matches!(error, Error::Died { .. }), "{udf:?}: {error:?}");
    client.delete(&code).await.unwrap();
    client.delete(&silent).await.unwrap();
}

async fn every_language_calls(config: ServiceBuilder, mode: Mode) {
    let config = sample_host::register(config, Host);
    let client = ByobAskHostService::create(config, mode).await.unwrap();
    for udf in programs("HOST_CALLS_UDFS") {
        calls_its_host(&client, udf.clone()).await;
        gets_an_error_for_invalid_calls(&client, udf).await;
    }
    client.shutdown().await;
}

#[tokio::test]
async fn in_gvisor() {
    let folder = tempfile::tempdir().unwrap();
    every_language_calls(gvisor(folder.path()), Mode::Gvisor).await;
}

#[tokio::test]
async fn in_minimal_mode() {
    let folder = tempfile::tempdir().unwrap();
    every_language_calls(minimal(folder.path()), Mode::Minimal).await;
}
