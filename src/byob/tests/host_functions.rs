//! Host functions that UDFs call.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::time::Duration;

use bytes::Bytes;
use roma_byob::{
    ConfigError, Error, ExecuteOptions, GrpcCode, HostCall, HostCallError, HostCallLimits,
    LoadOptions, Metadata, Service,
};

use common::{TestBed, in_every_sandbox, patient, udf, workers};

struct Tenant(&'static str);

async fn service(bed: &TestBed) -> Service {
    let limits = HostCallLimits {
        deadline: Duration::from_millis(300),
        ..Default::default()
    };
    bed.builder()
        .host_call_limits(limits)
        .host_function("greet", |call: HostCall| async move {
            let tenant = call
                .metadata
                .get::<Tenant>()
                .map_or("nobody", |tenant| tenant.0);
            let name = String::from_utf8_lossy(&call.payload).into_owned();
            Ok(Bytes::from(format!("hello {name} of {tenant}")))
        })
        .host_function("refuse", |_| async {
            Err(HostCallError::new(
                GrpcCode::FailedPrecondition,
                "not today",
            ))
        })
        .host_function("hang", |_| async {
            std::future::pending::<()>().await;
            Ok(Bytes::new())
        })
        .start()
        .await
        .unwrap()
}

fn with_host_functions() -> LoadOptions {
    LoadOptions {
        host_functions: true,
        ..workers(2)
    }
}

in_every_sandbox! {
    async fn a_host_function_gets_the_metadata_of_its_request(bed: TestBed) {
        let service = service(&bed).await;
        let code = service.load(udf("misbehaving_udf"), with_host_functions()).await.unwrap();
        for tenant in ["acme", "umbrella"] {
            let options = ExecuteOptions { metadata: Metadata::new(Tenant(tenant)), ..patient() };
            let answer = service.execute(&code, "call greet udf", options).await.unwrap();
            let text = String::from_utf8_lossy(&answer).into_owned();
            assert!(text.contains(&format!("hello udf of {tenant}")), "{text}");
        }
        service.shutdown().await;
    }

    async fn a_failed_call_returns_its_error_to_the_udf(bed: TestBed) {
        let service = service(&bed).await;
        let code = service.load(udf("misbehaving_udf"), with_host_functions()).await.unwrap();
        let call = async |request: &'static str| {
            let answer = service.execute(&code, request, patient()).await.unwrap();
            String::from_utf8_lossy(&answer).into_owned()
        };
        assert!(call("call refuse").await.contains("not today"));
        assert!(call("call unknown").await.contains("no such host function"));
        assert!(call("call hang").await.contains("too long"));
        service.shutdown().await;
    }

    async fn a_udf_loaded_without_the_option_cannot_call_the_host(bed: TestBed) {
        let service = service(&bed).await;
        let code = service.load(udf("misbehaving_udf"), workers(1)).await.unwrap();
        let error = service.execute(&code, "call greet", patient()).await.unwrap_err();
        assert!(matches!(error, Error::Died { .. }), "{error:?}");
        service.shutdown().await;
    }

    async fn the_option_is_refused_by_a_service_without_host_functions(bed: TestBed) {
        let service = bed.service().await;
        let error = service.load(udf("misbehaving_udf"), with_host_functions()).await.unwrap_err();
        let Error::Config(ConfigError::LoadOption { option, .. }) = error else { panic!("{error:?}") };
        assert_eq!(option, "host_functions");
        service.shutdown().await;
    }
}
