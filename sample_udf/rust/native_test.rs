//! Runs every sample UDF over a socket pair, without a sandbox.
//!
//! Under Cargo these are the UDFs in Rust. Otherwise `UDF_DIRECTORIES` names the directories with binaries,
//! separated by colons, and UDFs in all languages must behave the same.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use prost::Message;
use roma_sample_proto::roma::example::{EchoRequest, EchoResponse};
use roma_sample_proto::roma::sample::message_queue_request::Operation;
use roma_sample_proto::roma::sample::prime_sieve_request::Limit;
use roma_sample_proto::roma::sample::sample_request::Task;
use roma_sample_proto::roma::sample::sample_response::Outcome;
use roma_sample_proto::roma::sample::*;

/// The exit code for an unknown task and for all failures of the UDF's own code.
const FAILED: i32 = roma_udf::exit_code::FAILED as i32;

/// Returns all directories with UDFs. The first has all UDFs, the others some.
fn directories() -> Vec<PathBuf> {
    let named = std::env::var("UDF_DIRECTORIES");
    match (named, option_env!("CARGO_BIN_EXE_echo_udf")) {
        (Ok(directories), _) => directories.split(':').map(PathBuf::from).collect(),
        (_, Some(binary)) => vec![Path::new(binary).parent().unwrap().into()],
        (Err(error), None) => panic!("UDF_DIRECTORIES: {error}"),
    }
}

/// Returns the binaries with this name, in all languages.
fn each(name: &str) -> Vec<PathBuf> {
    let candidates = directories().into_iter().map(|it| it.join(name));
    let binaries: Vec<_> = candidates.filter(|it| it.exists()).collect();
    assert!(!binaries.is_empty(), "no {name} in {:?}", directories());
    binaries
}

/// Returns the Rust binary with this name.
fn only(name: &str) -> PathBuf {
    each(name).remove(0)
}

/// A running UDF.
struct Running {
    process: Child,
    socket: UnixStream,
}

/// The results of a UDF that ended.
struct Ended {
    status: ExitStatus,
    /// The readiness byte, if any, and the response, if any.
    written: Vec<u8>,
    standard_output: String,
    standard_error: String,
}

impl Running {
    fn start(binary: &Path) -> Self {
        let (socket, udf) = UnixStream::pair().unwrap();
        let mut command = Command::new("/bin/sh");
        // The shell makes the socket descriptor 3.
        command
            .args(["-c", "exec \"$0\" 3 3<&0 0</dev/null"])
            .arg(binary)
            .stdin(OwnedFd::from(udf))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let process = command.spawn().unwrap();
        Running { process, socket }
    }

    fn send(&mut self, request: &impl Message) {
        // If the UDF has already ended, the checks of its output show that.
        let _ = self
            .socket
            .write_all(&request.encode_length_delimited_to_vec());
    }

    fn end(mut self) -> Ended {
        let mut written = Vec::new();
        // A UDF that ends with the request unread resets the connection.
        let _ = self.socket.read_to_end(&mut written);
        let output = self.process.wait_with_output().unwrap();
        Ended {
            status: output.status,
            written,
            standard_output: String::from_utf8(output.stdout).unwrap(),
            standard_error: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ended {
    fn response<M: Message + Default>(&self) -> Option<M> {
        let (_readiness, frame) = self.written.split_first()?;
        (!frame.is_empty()).then(|| M::decode_length_delimited(frame).unwrap())
    }

    fn outcome(&self) -> Option<Outcome> {
        self.response::<SampleResponse>()?.outcome
    }

    #[track_caller]
    fn expect_greeting(&self, greeting: &str) {
        let expected = HelloWorldResponse {
            greeting: greeting.into(),
        };
        assert_eq!(self.outcome(), Some(Outcome::HelloWorld(expected)));
    }
}

fn ask(binary: &Path, request: &impl Message) -> Ended {
    let mut udf = Running::start(binary);
    udf.send(request);
    udf.end()
}

fn ask_for(binary: &Path, task: Task) -> Ended {
    ask(binary, &SampleRequest { task: Some(task) })
}

/// Returns the outcome of a UDF that must succeed.
#[track_caller]
fn outcome_of(binary: &Path, task: Task) -> Outcome {
    let ended = ask_for(binary, task);
    assert!(ended.status.success(), "{}", ended.standard_error);
    ended.outcome().unwrap()
}

fn hello() -> Task {
    Task::HelloWorld(HelloWorldRequest {})
}

#[test]
fn echo_returns_the_message() {
    for binary in each("echo_udf") {
        for size in [0, 5, 1 << 20] {
            let message = vec![7; size];
            let request = EchoRequest {
                message: message.clone(),
            };
            let ended = ask(&binary, &request);
            assert!(ended.status.success(), "{}", ended.standard_error);
            assert!(ended.response() == Some(EchoResponse { message }));
        }
    }
}

#[test]
fn invalid_arguments_are_refused() {
    for binary in each("echo_udf") {
        for arguments in [&[][..], &["x"], &["1"], &["1000"]] {
            let output = Command::new(&binary).args(arguments).output().unwrap();
            let code = i32::from(roma_udf::exit_code::USAGE);
            assert_eq!(output.status.code(), Some(code), "{arguments:?}");
            assert!(!output.stderr.is_empty());
        }
    }
}

#[test]
fn the_sample_greets() {
    for binary in each("sample_udf") {
        let ended = ask_for(&binary, hello());
        assert!(ended.status.success(), "{}", ended.standard_error);
        ended.expect_greeting("Hello, world!");
    }
}

#[test]
fn a_sieve_finds_all_primes_up_to_a_bound() {
    let up_to = |bound| {
        Task::PrimeSieve(PrimeSieveRequest {
            limit: Some(Limit::UpTo(bound)),
        })
    };
    for binary in [each("sample_udf"), each("prime_sieve_udf")].concat() {
        let expected = |prime_count, largest_prime| {
            Outcome::PrimeSieve(PrimeSieveResponse {
                prime_count,
                largest_prime,
                rounds: 1,
            })
        };
        assert_eq!(outcome_of(&binary, up_to(1)), expected(0, None));
        assert_eq!(outcome_of(&binary, up_to(100)), expected(25, Some(97)));
    }
}

#[test]
fn a_sieve_runs_for_the_requested_time() {
    let time = Duration::from_millis(5);
    let request = PrimeSieveRequest {
        limit: Some(Limit::AtLeast(time.try_into().unwrap())),
    };
    for binary in each("sample_udf") {
        match outcome_of(&binary, Task::PrimeSieve(request)) {
            Outcome::PrimeSieve(sieved) => assert!(sieved.rounds >= 1),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_sample_sorts() {
    for binary in each("sample_udf") {
        for length in [0, 10_000] {
            let outcome = outcome_of(&binary, Task::SortList(SortListRequest { length }));
            assert_eq!(outcome, sorted(length));
        }
    }
}

#[test]
fn constant_lists_are_sorted() {
    for (name, length) in [
        ("sort_list_10k_udf", 10_000),
        ("sort_list_100k_udf", 100_000),
        ("sort_list_1m_udf", 1_000_000),
    ] {
        assert_eq!(outcome_of(&only(name), hello()), sorted(length));
    }
}

fn sorted(length: u32) -> Outcome {
    use roma_sample_udf::sort_list::{list, sort};
    Outcome::SortList(sort(list(length)))
}

#[test]
fn the_sample_creates_a_process() {
    for binary in each("sample_udf") {
        let outcome = outcome_of(&binary, Task::Clone(CloneRequest { namespace_flags: 0 }));
        assert_eq!(outcome, Outcome::Clone(CloneResponse { error_number: 0 }));
    }
}

#[test]
fn the_sample_fails_without_a_response_to_an_unknown_task() {
    let not_its_own = Task::Log(LogRequest::default());
    let no_namespaces = Task::Clone(CloneRequest { namespace_flags: 1 });
    let no_limit = Task::PrimeSieve(PrimeSieveRequest { limit: None });
    let tasks = [None, Some(not_its_own), Some(no_namespaces), Some(no_limit)];
    for binary in each("sample_udf") {
        for task in &tasks {
            let task = task.clone();
            let ended = ask(&binary, &SampleRequest { task });
            assert_eq!(ended.status.code(), Some(FAILED));
            assert_eq!(
                ended.written.len(),
                1,
                "the readiness byte and nothing else"
            );
        }
    }
}

#[test]
fn the_new_version_returns_its_greeting() {
    for binary in each("new_udf") {
        ask_for(&binary, hello()).expect_greeting("I am a new UDF!");
    }
}

#[test]
fn an_early_crash_leaves_no_readiness_byte() {
    for binary in each("abort_early_udf") {
        let ended = ask_for(&binary, hello());
        assert_eq!(ended.status.signal(), Some(libc::SIGABRT));
        assert!(ended.written.is_empty());
    }
}

#[test]
fn a_late_crash_leaves_a_response() {
    for binary in each("abort_late_udf") {
        let ended = ask_for(&binary, hello());
        ended.expect_greeting("I am a crashing UDF!");
        assert_eq!(ended.status.signal(), Some(libc::SIGABRT));
    }
}

#[test]
fn a_nonzero_exit_leaves_a_response() {
    for binary in each("nonzero_return_udf") {
        let ended = ask_for(&binary, hello());
        ended.expect_greeting("I return a non-zero status!");
        assert_eq!(ended.status.code(), Some(23));
    }
}

#[test]
fn pause_never_answers() {
    for binary in each("pause_udf") {
        let mut udf = Running::start(&binary);
        udf.send(&SampleRequest::default());
        let timeout = Some(Duration::from_millis(100));
        udf.socket.set_read_timeout(timeout).unwrap();
        let mut readiness = [0; 1];
        udf.socket.read_exact(&mut readiness).unwrap();
        let no_response = udf.socket.read(&mut [0; 1]);
        assert!(no_response.is_err(), "{no_response:?}");
        udf.process.kill().unwrap();
        assert_eq!(udf.end().status.signal(), Some(libc::SIGKILL));
    }
}

#[test]
fn texts_are_written_to_both_streams() {
    let request = LogRequest {
        standard_output: "to standard output\n".into(),
        standard_error: "to standard error\n".into(),
        standard_error_after_response: "late\n".into(),
    };
    for binary in each("log_udf") {
        let ended = ask_for(&binary, Task::Log(request.clone()));
        assert_eq!(ended.outcome(), Some(Outcome::Log(LogResponse {})));
        assert_eq!(ended.standard_output, "to standard output\n");
        assert_eq!(ended.standard_error, "to standard error\nlate\n");
    }
}

#[test]
fn log_lines_have_the_requested_number_and_length() {
    let request = LogBenchmarkRequest {
        lines: 3,
        line_length: 4,
    };
    let ended = ask_for(&only("log_benchmark_udf"), Task::LogBenchmark(request));
    let expected = Outcome::LogBenchmark(LogBenchmarkResponse { size: 12 });
    assert_eq!(ended.outcome(), Some(expected));
    assert_eq!(ended.standard_error, "xxx\n".repeat(3));
}

#[test]
fn payloads_are_read() {
    let payloads = vec![vec![255; 1_000], Vec::new(), vec![1; 2_000_000]];
    let task = Task::PayloadRead(PayloadReadRequest { payloads });
    let expected = Outcome::PayloadRead(PayloadReadResponse {
        size: 2_001_000,
        byte_sum: 255_000 + 2_000_000,
    });
    assert_eq!(outcome_of(&only("payload_read_udf"), task), expected);
}

#[test]
fn payloads_are_written() {
    let request = PayloadWriteRequest {
        element_size: 258,
        element_count: 2,
    };
    let payload: Vec<u8> = (0..=255).chain([0, 1]).collect();
    let expected = Outcome::PayloadWrite(PayloadWriteResponse {
        payloads: vec![payload.clone(), payload],
    });
    let outcome = outcome_of(&only("payload_write_udf"), Task::PayloadWrite(request));
    assert_eq!(outcome, expected);
}

#[test]
fn privileges_are_reported() {
    let task = Task::Privileges(PrivilegesRequest {});
    match outcome_of(&only("privileges_udf"), task) {
        Outcome::Privileges(privileges) => {
            assert_eq!(privileges.effective & !privileges.permitted, 0);
            assert!(privileges.process_id > 1);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn open_descriptors_are_listed() {
    let task = Task::Descriptors(DescriptorsRequest {});
    let Outcome::Descriptors(open) = outcome_of(&only("descriptors_udf"), task) else {
        panic!("unexpected outcome");
    };
    let found: Vec<_> = open
        .descriptors
        .iter()
        .map(|it| (it.number, it.r#type()))
        .collect();
    for expected in [
        (0, FileType::CharacterDevice),
        (1, FileType::Pipe),
        (2, FileType::Pipe),
        (3, FileType::Socket),
    ] {
        assert!(found.contains(&expected), "no {expected:?} in {found:?}");
    }
}

#[test]
fn file_system_changes_are_reported_and_undone() {
    let root = std::env::temp_dir().join(format!("native-test-{}", std::process::id()));
    fs::create_dir_all(root.join("directory")).unwrap();
    fs::write(root.join("file"), "content").unwrap();
    let request = FileSystemChangeRequest {
        root: root.to_str().unwrap().into(),
    };
    for (name, expected) in [
        ("filesystem_add_udf", &["", "directory"][..]),
        ("filesystem_delete_udf", &["", "directory", "file"]),
        ("filesystem_edit_udf", &["file"]),
    ] {
        let task = Task::FileSystemChange(request.clone());
        let Outcome::FileSystemChange(changes) = outcome_of(&only(name), task) else {
            panic!("unexpected outcome");
        };
        let mut changed: Vec<_> = changes
            .changed
            .iter()
            .map(|it| relative(it, &root))
            .collect();
        changed.sort();
        assert_eq!(changed, expected, "{name}");
        assert!(changes.refused.is_empty(), "{name}: {:?}", changes.refused);
    }
    assert_eq!(fs::read(root.join("file")).unwrap(), b"content");
    assert_eq!(fs::read_dir(&root).unwrap().count(), 2);
    fs::remove_dir_all(&root).unwrap();
}

fn relative<'a>(path: &'a str, root: &Path) -> &'a str {
    Path::new(path)
        .strip_prefix(root)
        .unwrap()
        .to_str()
        .unwrap()
}

#[test]
fn sockets_are_found() {
    let root = std::env::temp_dir().join(format!("native-test-socket-{}", std::process::id()));
    fs::create_dir(&root).unwrap();
    let socket = root.join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let request = SocketSearchRequest {
        root: root.to_str().unwrap().into(),
    };
    let outcome = outcome_of(&only("socket_finder_udf"), Task::SocketSearch(request));
    fs::remove_dir_all(&root).unwrap();
    match outcome {
        Outcome::SocketSearch(found) => assert_eq!(found.sockets, [socket.to_str().unwrap()]),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_message_that_is_too_long_is_not_sent() {
    let operation = Some(Operation::Send("x".repeat(2_000)));
    let task = Task::MessageQueue(MessageQueueRequest { operation });
    let ended = ask_for(&only("message_queue_udf"), task);
    assert_eq!(ended.status.code(), Some(FAILED));
}

#[test]
fn each_system_call_has_an_outcome() {
    let task = Task::Syscalls(SyscallsRequest {});
    let Outcome::Syscalls(tried) = outcome_of(&only("syscall_filter_udf"), task) else {
        panic!("unexpected outcome");
    };
    let dup = tried.outcomes.iter().find(|it| it.name == "dup").unwrap();
    assert_eq!(dup.error_number, libc::EBADF);
}
