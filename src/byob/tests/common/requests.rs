//! Requests that the suites send: `hello` to the sample UDF, and to the misbehaving UDF `good`, which
//! it echoes, and `drip`, which it never finishes.

use bytes::Bytes;
use roma_byob::{CodeToken, Error, Service};
use tokio::task::JoinHandle;

use super::messages::{greeting, hello};
use super::{patient, until};

/// A request under way.
pub type Running = JoinHandle<Result<Bytes, Error>>;

/// Asserts that the sample UDF answers a request.
pub async fn assert_greets(service: &Service, code: &CodeToken) {
    let answer = service.execute(code, hello(), patient()).await.unwrap();
    assert_eq!(greeting(&answer), "Hello, world!");
}

/// Asserts that the sample UDF answers again after a sandbox died, and that errors until then are
/// retryable.
pub async fn assert_greets_again(service: &Service, code: &CodeToken) {
    retry_until_answered(service, code, hello()).await;
    assert_greets(service, code).await;
}

/// Asserts that the misbehaving UDF answers a request.
pub async fn assert_echoes(service: &Service, code: &CodeToken) {
    let answer = service.execute(code, "good", patient()).await.unwrap();
    assert_eq!(answer, "good");
}

/// Asserts that the misbehaving UDF answers again after a sandbox died, and that errors until then are
/// retryable.
pub async fn assert_echoes_again(service: &Service, code: &CodeToken) {
    retry_until_answered(service, code, "good").await;
    assert_echoes(service, code).await;
}

async fn retry_until_answered(service: &Service, code: &CodeToken, request: impl Into<Bytes>) {
    let request = request.into();
    while let Err(error) = service.execute(code, request.clone(), patient()).await {
        assert!(error.retryable(), "{error:?}");
    }
}

/// Starts a request that never ends by itself, and waits until it has a worker.
pub async fn start_hung_request(service: &Service, code: &CodeToken) -> Running {
    let busy = || service.status(code).unwrap().counts.busy;
    let before = busy();
    let request = tokio::spawn(service.execute(code, "drip", patient()));
    until("the request has a worker", || busy() > before).await;
    request
}

/// Waits until at least `count` workers are ready.
pub async fn until_ready(service: &Service, code: &CodeToken, count: usize) {
    let ready = || service.status(code).unwrap().counts.ready;
    until("workers are ready", || ready() >= count).await;
}

/// Waits until a request has a worker.
pub async fn until_busy(service: &Service, code: &CodeToken) {
    let busy = || service.status(code).unwrap().counts.busy;
    until("a worker is busy", || busy() > 0).await;
}
