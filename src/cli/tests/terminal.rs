//! The tool on a terminal, with a person in front of it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use common::{program, sample};

/// Long enough for any machine: this bounds hangs, never speed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A terminal with the tool in it.
struct Terminal {
    child: Child,
    keys: ChildStdin,
    screen: Receiver<Vec<u8>>,
    /// What was shown, and not looked for yet.
    shown: String,
    state: TempDir,
}

impl Terminal {
    fn with(command: &str) -> Self {
        Self::remembering(command, tempfile::tempdir().unwrap())
    }

    fn remembering(command: &str, state: TempDir) -> Self {
        // Without `exec`, Ctrl-C would end the shell that starts it, too.
        let line = format!("exec {} {command}", program("ROMA").display());
        let mut child = Command::new("script")
            .args([
                "--quiet",
                "--return",
                "--flush",
                "--command",
                &line,
                "/dev/null",
            ])
            .env("TERM", "xterm")
            .env("XDG_STATE_HOME", state.path())
            .env_remove("NO_COLOR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let keys = child.stdin.take().unwrap();
        let mut output = child.stdout.take().unwrap();
        let (sender, screen) = channel();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                let _ = sender.send(bytes[..count].to_vec());
            }
        });
        Self {
            child,
            keys,
            screen,
            shown: String::new(),
            state,
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Presses repeatedly, because it is not visible when the tool is ready for it.
    fn press_until(&mut self, keys: &str, text: &str) {
        let until = Instant::now() + PATIENCE;
        while !self.shown.contains(text) {
            assert!(Instant::now() < until, "no {text:?} in {:?}", self.shown);
            self.press(keys);
            thread::sleep(Duration::from_millis(50));
            for bytes in self.screen.try_iter() {
                self.shown.push_str(&String::from_utf8_lossy(&bytes));
            }
        }
        self.wait_for(text);
    }

    /// Waits until this is shown, after what was waited for before.
    fn wait_for(&mut self, text: &str) {
        loop {
            if let Some(at) = self.shown.find(text) {
                self.shown.drain(..at + text.len());
                return;
            }
            match self.screen.recv_timeout(PATIENCE) {
                Ok(bytes) => self.shown.push_str(&String::from_utf8_lossy(&bytes)),
                Err(error) => panic!("no {text:?} ({error}) in {:?}", self.shown),
            }
        }
    }

    /// Waits for the end, and returns the exit code and what the tool remembers.
    fn end(mut self) -> (Option<i32>, TempDir) {
        (self.child.wait().unwrap().code(), self.state)
    }
}

/// What the editor shows before it reads a line.
const PROMPT: &str = "roma> \r";

#[test]
fn a_session_completes_commands_and_survives_errors() {
    let mut terminal = Terminal::with("shell --mode minimal");
    terminal.wait_for("`help` lists the commands");
    terminal.wait_for(PROMPT);
    terminal.press("exec\t");
    terminal.wait_for("execute ");
    terminal.press("hello\r");
    terminal.wait_for("error: nothing is loaded");
    terminal.wait_for(PROMPT);
    terminal.press("walk\r");
    terminal.wait_for("error: there is no command walk");
    terminal.wait_for(PROMPT);
    terminal.press("exit\r");
    let (code, state) = terminal.end();
    assert_eq!(code, Some(0));
    let mut terminal = Terminal::remembering("shell --mode minimal", state);
    terminal.wait_for(PROMPT);
    // The key Up, twice: before `exit` came `walk`.
    terminal.press("\x1b[A\x1b[A\r");
    terminal.wait_for("error: there is no command walk");
    terminal.wait_for(PROMPT);
    // Ctrl-D.
    terminal.press("\x04");
    assert_eq!(terminal.end().0, Some(0));
}

#[test]
fn ctrl_c_cancels_the_request_and_nothing_else() {
    let proto = program("ROMA_SAMPLE_PROTO");
    let command = format!("shell --mode minimal --proto {}", proto.display());
    let mut terminal = Terminal::with(&command);
    terminal.wait_for(PROMPT);
    let udf = sample("sample_udf");
    terminal.press(&format!("load {}\r", udf.display()));
    terminal.wait_for("code_token=");
    terminal.wait_for(PROMPT);
    terminal.press("run {\"primeSieve\": {\"atLeast\": \"600s\"}} &\r");
    terminal.wait_for("[1] is asked");
    terminal.wait_for(PROMPT);
    terminal.press("run {\"primeSieve\":\r{\"atLeast\": \"600s\"}}\r");
    terminal.press_until("\x03", "error: the execution was cancelled");
    terminal.press("list\r");
    terminal.wait_for("1 busy");
    terminal.wait_for("[1] run");
    terminal.wait_for(PROMPT);
    // What is still under way does not keep it.
    terminal.press("exit\r");
    assert_eq!(terminal.end().0, Some(0));
}

#[test]
fn verdicts_have_colours() {
    let udf = program("ROMA_ECHO_UDF");
    let mut terminal = Terminal::with(&format!("verify --mode minimal {}", udf.display()));
    terminal.wait_for("\x1b[32mok     \x1b[0m");
    terminal.wait_for("is verified.");
    assert_eq!(terminal.end().0, Some(0));
}
