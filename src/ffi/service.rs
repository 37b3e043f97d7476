//! A service with the runtime that it runs on.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use roma_byob::{
    Binary, Canceller, CodeToken, Error, ExecuteOptions, Execution, Exit, LoadOptions, LogTail,
    ServiceBuilder, Times,
};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

use crate::error_status::Status;

/// The service behind a handle.
pub(crate) struct Service {
    service: roma_byob::Service,
    runtime: Runtime,
    /// Each execution holds a clone until its callback has returned.
    unanswered: mpsc::Sender<Infallible>,
    all_answered: Mutex<mpsc::Receiver<Infallible>>,
}

/// What to execute.
pub(crate) struct Request {
    pub(crate) code: CodeToken,
    pub(crate) body: Bytes,
    pub(crate) options: ExecuteOptions,
    /// Whether to wait for the end of the process, when its logs are complete.
    pub(crate) report: bool,
}

/// The result of an execution.
pub(crate) struct Answer {
    pub(crate) result: Result<Bytes, Status>,
    pub(crate) times: Times,
    pub(crate) logs: Option<LogTail>,
    pub(crate) exit: Option<Exit>,
}

impl Service {
    pub(crate) fn start(builder: ServiceBuilder) -> Result<Self, Status> {
        let runtime = Builder::new_multi_thread()
            .enable_all()
            .thread_name("roma")
            .build()
            .map_err(|error| Error::Host {
                doing: "start threads",
                cause: Arc::new(error),
            })?;
        let service = runtime.block_on(builder.start())?;
        let (unanswered, all_answered) = mpsc::channel(1);
        Ok(Self {
            service,
            runtime,
            unanswered,
            all_answered: Mutex::new(all_answered),
        })
    }

    pub(crate) fn load(&self, binary: Binary, options: LoadOptions) -> Result<CodeToken, Status> {
        let loaded = self.runtime.block_on(self.service.load(binary, options));
        loaded.map_err(|error| match error {
            Error::UnknownToken(_) => Status::from(error).not_loaded(),
            error => error.into(),
        })
    }

    pub(crate) fn delete(&self, code: CodeToken) -> Result<(), Status> {
        Ok(self.runtime.block_on(self.service.delete(&code))?)
    }

    /// Executes a request in the background, and calls `answer` once, on a thread that may block.
    pub(crate) fn execute(
        &self,
        request: Request,
        answer: impl FnOnce(Answer) + Send + 'static,
    ) -> Result<Canceller, Status> {
        if !self.service.is_loaded(&request.code) {
            return Err(Error::UnknownToken(request.code).into());
        }
        let _entered = self.runtime.enter();
        let execution = self
            .service
            .execute(&request.code, request.body, request.options);
        let canceller = execution.canceller();
        let running = tokio::spawn(finish(execution, request.report));
        let unanswered = self.unanswered.clone();
        tokio::spawn(async move {
            let finished = running.await.unwrap_or_else(|_| Answer::broken());
            tokio::task::spawn_blocking(move || {
                answer(finished);
                drop(unanswered);
            });
        });
        Ok(canceller)
    }

    /// Ends everything, and waits until the last callback has returned.
    pub(crate) fn end(self) {
        self.runtime.block_on(self.service.shutdown());
        drop(self.unanswered);
        if let Ok(mut all_answered) = self.all_answered.into_inner() {
            all_answered.blocking_recv();
        }
    }
}

impl Answer {
    fn broken() -> Self {
        Self {
            result: Err(Status::broken()),
            times: Times::default(),
            logs: None,
            exit: None,
        }
    }
}

async fn finish(mut execution: Execution, report: bool) -> Answer {
    let result = (&mut execution).await.map_err(Status::from);
    let times = execution.times().unwrap_or_default();
    let (logs, exit) = match report {
        true => {
            let report = execution.report().await;
            (report.logs, report.exit)
        }
        false => (None, None),
    };
    Answer {
        result,
        times,
        logs,
        exit,
    }
}
