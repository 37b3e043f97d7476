//! A request of the colluding UDF that follows commands: it asks for each by a call of a host function.
//! So all requests act in turn, and no verdict depends on time.

use bytes::Bytes;
use roma_byob::{
    CodeToken, ExecuteOptions, GrpcCode, HostCall, HostCallError, HostCallLimits, LibraryMount,
    Metadata, Outcome, Service,
};
use tempfile::TempDir;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use crate::common::{PATIENCE, TestBed, patient};

/// A service with a library folder, and the function that players call.
pub struct Stage {
    pub service: Service,
    _library: TempDir,
}

impl Stage {
    pub async fn new(bed: &TestBed) -> Self {
        let library = library();
        let limits = HostCallLimits {
            deadline: PATIENCE,
            ..Default::default()
        };
        let service = bed
            .builder()
            .library(LibraryMount::at(library.path(), "/shared"))
            .host_call_limits(limits)
            .host_function("next", next_command)
            .start();
        Self {
            service: service.await.unwrap(),
            _library: library,
        }
    }
}

/// A folder that all codes can read, with one file.
pub fn library() -> TempDir {
    use std::os::unix::fs::PermissionsExt;
    let library = tempfile::tempdir().unwrap();
    let readable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(library.path(), readable).unwrap();
    std::fs::write(library.path().join("library"), [7; 16 * 4096]).unwrap();
    library
}

/// The host's side of a player.
struct Prompter {
    results: UnboundedSender<String>,
    commands: Mutex<UnboundedReceiver<String>>,
}

async fn next_command(call: HostCall) -> Result<Bytes, HostCallError> {
    let gone = || HostCallError::new(GrpcCode::Aborted, "there is no test any more");
    let prompter = call.metadata.get::<Prompter>().ok_or_else(gone)?;
    let result = String::from_utf8_lossy(&call.payload).into_owned();
    prompter.results.send(result).map_err(|_| gone())?;
    let command = prompter.commands.lock().await.recv().await;
    command.map(Bytes::from).ok_or_else(gone)
}

pub struct Player {
    outcome: JoinHandle<Outcome>,
    commands: UnboundedSender<String>,
    results: UnboundedReceiver<String>,
}

impl Player {
    pub async fn start(stage: &Stage, code: &CodeToken) -> Self {
        let (results_in, results) = unbounded_channel();
        let (commands, commands_out) = unbounded_channel();
        let prompter = Prompter {
            results: results_in,
            commands: Mutex::new(commands_out),
        };
        let options = ExecuteOptions {
            metadata: Metadata::new(prompter),
            deadline: PATIENCE * 2,
            ..patient()
        };
        let execution = stage.service.execute(code, "channels", options);
        let outcome = tokio::spawn(execution.outcome());
        let mut player = Self {
            outcome,
            commands,
            results,
        };
        // The first call comes with no result.
        assert_eq!(player.result().await, "");
        player
    }

    async fn result(&mut self) -> String {
        match self.results.recv().await {
            Some(result) => result,
            None => panic!("ended too early: {:?}", (&mut self.outcome).await),
        }
    }

    pub fn send(&self, command: &str) {
        self.commands.send(command.to_owned()).unwrap();
    }

    pub async fn ask(&mut self, command: &str) -> String {
        self.send(command);
        self.result().await
    }

    pub async fn numbers(&mut self, command: &str) -> Vec<i64> {
        self.send(command);
        self.numbers_of_result().await
    }

    pub async fn numbers_of_result(&mut self) -> Vec<i64> {
        let result = self.result().await;
        let words = result.split_whitespace();
        words.map(|word| word.parse().unwrap()).collect()
    }

    /// Ends the request, and waits until its processes are gone.
    pub async fn end(self) {
        self.send("");
        let outcome = self.outcome.await.unwrap();
        assert_eq!(outcome.result.unwrap(), "done");
    }
}
