use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::execution::{Finished, Report, Times};
use crate::failure::Fault;

/// An engine in memory, as a test of a server would use: it answers a request with the code followed
/// by the request.
#[derive(Default)]
struct MockEngine {
    loaded: Mutex<HashMap<CodeToken, Code>>,
    next: AtomicU32,
}

impl MockEngine {
    fn find(&self, token: &CodeToken) -> Result<Code, Error> {
        let loaded = self.loaded.lock().unwrap();
        loaded
            .get(token)
            .cloned()
            .ok_or(Error::UnknownToken(*token))
    }
}

impl Engine for MockEngine {
    fn kind(&self) -> &'static str {
        "mock"
    }

    fn load(&self, code: Code) -> BoxFuture<'_, Result<CodeToken, Error>> {
        Box::pin(async move {
            let token = CodeToken::new(1, self.next.fetch_add(1, Ordering::Relaxed));
            self.loaded.lock().unwrap().insert(token, code);
            Ok(token)
        })
    }

    fn execute(&self, token: &CodeToken, request: Bytes, _: ExecuteOptions) -> Execution {
        let code = self.find(token);
        Execution::new(|canceller| async move {
            let report = Report::new(canceller.id(), request.len());
            let result = tokio::select! {
                biased;
                () = canceller.cancelled() => Err(Error::Cancelled),
                code = async { code } => code.map(|code| [code.bytes, request].concat().into()),
            };
            Finished {
                result,
                times: Times::default(),
                report: Box::pin(async { report }),
            }
        })
    }

    fn status(&self, token: &CodeToken) -> Result<CodeStatus, Error> {
        let code = self.find(token)?;
        Ok(CodeStatus::new(*token, code.name, [0; 32]))
    }

    fn list(&self) -> Vec<CodeStatus> {
        let loaded = self.loaded.lock().unwrap();
        let status = |(token, code): (&CodeToken, &Code)| {
            CodeStatus::new(*token, code.name.clone(), [0; 32])
        };
        loaded.iter().map(status).collect()
    }

    fn delete(&self, token: &CodeToken) -> BoxFuture<'_, Result<(), Error>> {
        let gone = self.loaded.lock().unwrap().remove(token);
        let result = gone.map(drop).ok_or(Error::UnknownToken(*token));
        Box::pin(async { result })
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        self.loaded.lock().unwrap().clear();
        Box::pin(async {})
    }
}

fn code(name: &str) -> Code {
    Code {
        name: name.to_owned(),
        bytes: Bytes::from_static(b"hello "),
        ..Code::default()
    }
}

#[tokio::test]
async fn a_server_needs_nothing_but_the_trait() {
    let engine: Arc<dyn Engine> = Arc::new(MockEngine::default());
    let token = engine.load(code("greeter")).await.unwrap();
    let execution = engine.execute(&token, "world".into(), ExecuteOptions::default());
    let outcome = execution.outcome().await;
    assert_eq!(outcome.result.unwrap(), "hello world");
    assert_eq!(outcome.report.request_bytes, 5);
    assert_eq!(engine.status(&token).unwrap().name, "greeter");
    assert_eq!(engine.list().len(), 1);
    engine.delete(&token).await.unwrap();
    let error = engine.execute(&token, "world".into(), ExecuteOptions::default());
    assert_eq!(error.await.unwrap_err().fault(), Fault::Caller);
    engine.shutdown().await;
}

#[tokio::test]
async fn a_cancelled_execution_ends_with_that_error_and_still_reports() {
    let engine = MockEngine::default();
    let token = engine.load(code("greeter")).await.unwrap();
    let execution = engine.execute(&token, "world".into(), ExecuteOptions::default());
    execution.cancel();
    let id = execution.id();
    let outcome = execution.outcome().await;
    assert!(matches!(outcome.result, Err(Error::Cancelled)));
    assert_eq!(outcome.report.id, id);
}
