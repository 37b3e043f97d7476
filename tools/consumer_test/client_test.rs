//! A server team's workspace: their own proto, a generated client, UDFs in two languages, both real
//! modes.

use greeting::greeting::v1::{GreetRequest, GreetResponse};
use greeting_client::ByobGreetingService;
use roma_byob::{ExecuteOptions, Mode, Platform, Service, ServiceBuilder};

// ROMA_RUN_WORKERS and ROMA_RUNSC name the programs.
async fn greets(config: ServiceBuilder, mode: Mode) {
    let client = ByobGreetingService::create(config, mode).await.unwrap();
    for variable in ["GREET_RUST", "GREET_CC"] {
        let udf = std::env::var(variable).unwrap();
        let code = client.register(udf.as_str(), 2).await.unwrap();
        let request = GreetRequest {
            name: "integrator".to_owned(),
            at: Some(at(12)),
        };
        let execution = client.greet(&code, &request, ExecuteOptions::default());
        let GreetResponse { text } = execution.await.unwrap();
        assert_eq!(text, "Hello, integrator! It is 12.");
    }
    client.shutdown().await;
}

fn at(seconds: i64) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds, nanos: 0 }
}

#[tokio::test]
async fn udfs_greet_in_gvisor() {
    greets(Service::builder().platform(Platform::Systrap), Mode::Gvisor).await;
}

#[tokio::test]
async fn udfs_greet_in_minimal_mode() {
    greets(Service::builder(), Mode::Minimal).await;
}
