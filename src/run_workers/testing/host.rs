//! Plays the host, for tests and measurements: starts `run_workers`, directly or inside gVisor, and
//! talks to it over socket pairs. Blocking, with generous time-outs so that nothing hangs.
#![allow(
    dead_code,
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::fs;
use std::io::{PipeReader, Read, Write, pipe};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use roma_protocol::byob::frame::{FrameDecoder, LengthPrefix};
use roma_protocol::control::{FromRunWorkers, Hello, Load, MAX_MESSAGE_BYTES, ToRunWorkers};
use roma_protocol::spawner::{Exited, FromSpawner, MESSAGE_BYTES, Ready, Spawn, ToSpawner};
use roma_protocol::{PoolId, WorkerId};
use roma_sandbox::Errno;
use roma_sandbox::fdpass::{self, packet_pair};
use roma_sandbox::gate::Gate;
use roma_sandbox::limits::{PoolLimits, WorkerLimits};
use roma_sandbox::name::ExecutionName;
use roma_sandbox::seccomp::FilterLevel;
use roma_sandbox::step::StepFailure;

/// How long to wait before a test fails as hung.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How `run_workers` is isolated: by itself, or by gVisor on this platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Direct,
    Gvisor(&'static str),
}

/// One `run_workers`, with everything that runs in it.
pub struct Host {
    pub mode: Mode,
    pub hello: Hello,
    control: Option<OwnedFd>,
    process: Child,
    bundle: Option<Bundle>,
    next_pool: u64,
}

pub struct Start<'a> {
    pub mode: Mode,
    pub program: &'a Path,
    pub faults: &'a str,
    /// The user to run as, if not the one that runs the test.
    pub user: Option<u32>,
}

impl Host {
    pub fn start(mode: Mode, program: &Path) -> Self {
        Self::start_with(Start {
            mode,
            program,
            faults: "",
            user: None,
        })
        .expect("run_workers starts")
    }

    pub fn start_with(start: Start<'_>) -> Result<Self, StepFailure> {
        let (control, inner) = packet_pair().expect("a socket pair");
        set_patience(control.as_fd());
        let bundle = match start.mode {
            Mode::Direct => None,
            Mode::Gvisor(_) => Some(Bundle::new(start.program, start.faults)),
        };
        let mut command = match (start.mode, &bundle) {
            (Mode::Gvisor(platform), Some(bundle)) => bundle.command(platform),
            _ => direct(&start),
        };
        let mut process = command
            .stdin(Stdio::from(inner))
            .spawn()
            .expect("the program can be executed");
        drop(command);
        let hello = match receive_control(control.as_fd()) {
            Some(FromRunWorkers::Hello(hello)) => hello,
            Some(FromRunWorkers::Broken(failure)) => {
                let _ = process.wait();
                return Err(failure);
            }
            other => panic!("expected Hello, got {other:?}"),
        };
        Ok(Self {
            mode: start.mode,
            hello,
            control: Some(control),
            process,
            bundle,
            next_pool: 1,
        })
    }

    pub fn load(&mut self, binary: &[u8], change: impl FnOnce(&mut Load)) -> Pool {
        self.try_load(binary, change).expect("the pool is set up")
    }

    pub fn try_load(
        &mut self,
        binary: &[u8],
        change: impl FnOnce(&mut Load),
    ) -> Result<Pool, StepFailure> {
        let mut load = plain_load(PoolId(self.next_pool), binary);
        change(&mut load);
        self.send_load(load, &with_digest(binary))
    }

    pub fn send_load(&mut self, load: Load, code: &[u8]) -> Result<Pool, StepFailure> {
        self.next_pool += 1;
        let id = load.pool;
        let (mut connection, code_inside) = UnixStream::pair().expect("a socket pair");
        let pairs: Vec<_> = (0..load.spawners)
            .map(|_| packet_pair().expect("a pair"))
            .collect();
        let mut attached = vec![code_inside.as_fd()];
        attached.extend(pairs.iter().map(|(_, inside)| inside.as_fd()));
        self.send_control(&ToRunWorkers::Load(Box::new(load)).encode(), &attached);
        drop(attached);
        drop(code_inside);
        let spawners: Vec<_> = pairs.into_iter().map(|(outside, _)| outside).collect();
        spawners
            .iter()
            .for_each(|spawner| set_patience(spawner.as_fd()));
        // A pool that fails early closes its end of the connection.
        let _ = connection.write_all(code);
        drop(connection);
        let ready = spawners
            .iter()
            .map(receive_ready)
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Pool {
            id,
            spawners,
            ready,
            next_worker: 1,
        })
    }

    pub fn send_control(&self, message: &[u8], attached: &[BorrowedFd<'_>]) {
        fdpass::send(self.control(), message, attached).expect("run_workers takes a message");
    }

    pub fn receive(&self) -> Option<FromRunWorkers> {
        receive_control(self.control())
    }

    pub fn await_message(&self) {
        assert!(self.receive().is_some(), "the connection has ended");
    }

    pub fn control(&self) -> BorrowedFd<'_> {
        self.control.as_ref().expect("not ended").as_fd()
    }

    /// The process that was started: `run_workers` itself, or runsc.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Closes the control connection and waits until the process ends.
    pub fn end(&mut self) -> ExitStatus {
        drop(self.control.take());
        self.wait()
    }

    pub fn wait(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().expect("a child") {
                return status;
            }
            if begun.elapsed() > PATIENCE {
                self.process.kill().expect("a child");
                panic!("run_workers does not end");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub fn kill(&mut self) {
        self.process.kill().expect("a child");
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        drop(self.control.take());
        let begun = Instant::now();
        while matches!(self.process.try_wait(), Ok(None)) {
            if begun.elapsed() > PATIENCE {
                let _ = self.process.kill();
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Returns what the host writes to a code connection.
pub fn with_digest(binary: &[u8]) -> Vec<u8> {
    [binary, blake3::hash(binary).as_bytes().as_slice()].concat()
}

pub fn plain_load(pool: PoolId, binary: &[u8]) -> Load {
    Load {
        pool,
        spawners: 1,
        roots: 64,
        binary_bytes: binary.len() as u64,
        filter: FilterLevel::Strict,
        private_ipc: true,
        proc: false,
        tmp_bytes: None,
        worker_limits: WorkerLimits::default(),
        pool_limits: PoolLimits::default(),
        libraries: Vec::new(),
        environment: Vec::new(),
        arguments: Vec::new(),
    }
}

fn receive_ready(spawner: &OwnedFd) -> Result<Ready, StepFailure> {
    match receive_spawner(spawner) {
        Some(FromSpawner::Ready(ready)) => Ok(ready),
        Some(FromSpawner::SetupFailed(failure)) => Err(failure),
        other => panic!("expected Ready or SetupFailed, got {other:?}"),
    }
}

/// A loaded binary.
pub struct Pool {
    pub id: PoolId,
    pub spawners: Vec<OwnedFd>,
    pub ready: Vec<Ready>,
    next_worker: u64,
}

/// A started worker.
pub struct Started {
    pub id: WorkerId,
    pub spawner: usize,
    pub data: UnixStream,
    pub log: PipeReader,
}

impl Pool {
    pub fn spawn(&mut self) -> Started {
        self.spawn_on(0, |_| {}, &[])
    }

    pub fn spawn_on(
        &mut self,
        spawner: usize,
        change: impl FnOnce(&mut Spawn),
        more: &[BorrowedFd<'_>],
    ) -> Started {
        let id = WorkerId(self.next_worker);
        self.next_worker += 1;
        let (data, inside) = UnixStream::pair().expect("a socket pair");
        data.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        let name = ExecutionName([7; 16]);
        let mut spawn = Spawn {
            worker: id,
            name,
            host_functions: false,
            report_start: false,
        };
        change(&mut spawn);
        let (log, log_inside) = pipe().expect("a pipe");
        let mut attached = vec![inside.as_fd(), log_inside.as_fd()];
        attached.extend(more);
        self.send(spawner, ToSpawner::Spawn(spawn), &attached);
        Started {
            id: spawn.worker,
            spawner,
            data,
            log,
        }
    }

    pub fn send(&self, spawner: usize, message: ToSpawner, attached: &[BorrowedFd<'_>]) {
        fdpass::send(self.spawners[spawner].as_fd(), &message.encode(), attached)
            .expect("the spawner takes a message");
    }

    pub fn receive(&self, spawner: usize) -> Option<FromSpawner> {
        receive_spawner(&self.spawners[spawner])
    }

    pub fn exited(&self, spawner: usize) -> Exited {
        match self.receive(spawner) {
            Some(FromSpawner::Exited(exited)) => exited,
            other => panic!("expected Exited, got {other:?}"),
        }
    }

    /// Starts a worker that cannot start, and returns why.
    pub fn failure(&mut self) -> StepFailure {
        let mut worker = self.spawn();
        assert!(!worker.is_ready(), "it started");
        match self.receive(worker.spawner) {
            Some(FromSpawner::Failed(_, failure)) => failure,
            other => panic!("expected Failed, got {other:?}"),
        }
    }

    pub fn await_exit(&self) {
        self.exited(0);
    }

    /// Runs a whole cycle: start, request, response, end.
    pub fn ask(&mut self, request: &str) -> (String, Exited) {
        let mut worker = self.spawn();
        if !worker.is_ready() {
            panic!(
                "expected a readiness byte, got {:?}",
                self.receive(worker.spawner)
            );
        }
        let response = worker.ask(request);
        (response, self.exited(worker.spawner))
    }

    pub fn answer(&mut self, request: &str) -> String {
        self.ask(request).0
    }

    /// Splits the pool into one for each spawner.
    pub fn split(self) -> Vec<Self> {
        let Self {
            id,
            spawners,
            ready,
            next_worker,
        } = self;
        let parts = spawners.into_iter().zip(ready);
        parts
            .map(|(spawner, ready)| Self {
                id,
                spawners: vec![spawner],
                ready: vec![ready],
                next_worker,
            })
            .collect()
    }

    pub fn kill(&self, worker: &Started) {
        self.send(worker.spawner, ToSpawner::Kill(worker.id), &[]);
    }
}

impl Started {
    pub fn await_ready(&mut self) {
        assert!(self.is_ready(), "no readiness byte");
    }

    /// Waits for the readiness byte. Returns `false` at the end of the connection.
    pub fn is_ready(&mut self) -> bool {
        self.data.read(&mut [0]).expect("to read") == 1
    }

    pub fn send(&mut self, request: &str) {
        write_message(&mut self.data, request.as_bytes());
    }

    pub fn ask(&mut self, request: &str) -> String {
        self.send(request);
        String::from_utf8(read_message(&mut self.data)).expect("a text")
    }
}

pub fn write_message(stream: &mut UnixStream, message: &[u8]) {
    let prefix = LengthPrefix::new(message.len());
    stream
        .write_all(&[prefix.as_bytes(), message].concat())
        .expect("to send");
}

pub fn read_message(stream: &mut UnixStream) -> Vec<u8> {
    let mut decoder = FrameDecoder::new(16 << 20);
    let mut buffer = [0; 64 * 1024];
    while !decoder.is_complete() {
        match stream.read(&mut buffer).expect("to read") {
            0 => break,
            count => {
                decoder.push(&buffer[..count]).expect("a valid frame");
            }
        }
    }
    decoder.finish().expect("a whole message")
}

fn receive_control(control: BorrowedFd<'_>) -> Option<FromRunWorkers> {
    let mut buffer = vec![0; MAX_MESSAGE_BYTES];
    let bytes = receive_packet(control, &mut buffer)?;
    Some(FromRunWorkers::decode(&buffer[..bytes]).expect("a valid message"))
}

fn receive_spawner(spawner: &OwnedFd) -> Option<FromSpawner> {
    let mut buffer = [0; MESSAGE_BYTES];
    let bytes = receive_packet(spawner.as_fd(), &mut buffer)?;
    Some(FromSpawner::decode(&buffer[..bytes]).expect("a valid message"))
}

/// Receives one packet. Returns `None` at the end of the connection.
fn receive_packet(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> Option<usize> {
    match fdpass::receive(socket, buffer, Gate::NONE) {
        Ok(packet) => (packet.bytes > 0).then_some(packet.bytes),
        Err(Errno::ECONNRESET) => None,
        Err(Errno::EAGAIN) => panic!("no message for {PATIENCE:?}"),
        Err(errno) => panic!("receiving failed: {errno}"),
    }
}

fn set_patience(socket: BorrowedFd<'_>) {
    // This method of a stream socket works for any socket.
    let copy = UnixStream::from(socket.try_clone_to_owned().expect("a copy"));
    copy.set_read_timeout(Some(PATIENCE)).expect("a time-out");
}

fn direct(start: &Start<'_>) -> Command {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new(start.program);
    command
        .arg("--isolate")
        .env_clear()
        .env("ROMA_FAULT", start.faults);
    if let Some(user) = start.user {
        command.uid(user).gid(user);
    }
    command
}

/// What runsc needs on disk. Dropping it removes the files.
pub struct Bundle {
    folder: PathBuf,
    id: String,
}

impl Bundle {
    pub fn new(program: &Path, faults: &str) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let id = format!("roma-test-{}-{count}", std::process::id());
        let folder = std::env::temp_dir().join(&id);
        let rootfs = folder.join("rootfs");
        fs::create_dir_all(&rootfs).expect("a folder");
        fs::create_dir(folder.join("state")).expect("a folder");
        fs::copy(program, rootfs.join("run_workers")).expect("a copy of run_workers");
        fs::write(folder.join("config.json"), config(faults)).expect("a file");
        Self { folder, id }
    }

    pub fn command(&self, platform: &str) -> Command {
        let runsc = runsc();
        let mut command = Command::new(runsc);
        command
            .arg("--root")
            .arg(self.folder.join("state"))
            .arg(format!("--platform={platform}"))
            .args((!is_root()).then_some("--rootless"))
            .args(["--network=none", "--ignore-cgroups", "run", "--bundle"])
            .arg(&self.folder)
            .arg(&self.id);
        command
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Returns whether the tests run as root. An ordinary user may do less, depending on the machine.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Returns whether a pool is set up by root, who can mount `/proc` (Linux allows it to an ordinary user
/// only if another one is visible, which is not so in a pool's root) and give each worker a user of its
/// own. Inside gVisor it always is.
pub fn is_privileged(mode: Mode) -> bool {
    mode != Mode::Direct || is_root()
}

/// Returns the runsc to test with. Tests that need it fail if there is none.
pub fn runsc() -> PathBuf {
    if let Some(path) = std::env::var_os("ROMA_RUNSC") {
        let path = PathBuf::from(path);
        assert!(
            path.is_file(),
            "ROMA_RUNSC is {}, which is not a file",
            path.display()
        );
        return path;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join("runsc"))
        .find(|file| file.is_file())
        .expect("this test needs gVisor: put runsc on PATH or set ROMA_RUNSC to its path")
}

fn config(faults: &str) -> String {
    let capabilities = r#"["CAP_KILL","CAP_SETGID","CAP_SETPCAP","CAP_SETUID","CAP_SYS_ADMIN"]"#;
    format!(
        r#"{{"ociVersion":"1.0.0",
"process":{{"user":{{"uid":0,"gid":0}},"args":["/run_workers"],"cwd":"/","env":["ROMA_FAULT={faults}"],
"noNewPrivileges":true,
"capabilities":{{"bounding":{capabilities},"effective":{capabilities},"permitted":{capabilities}}}}},
"root":{{"path":"rootfs","readonly":true}},
"linux":{{"namespaces":[{{"type":"pid"}},{{"type":"mount"}},{{"type":"ipc"}},{{"type":"uts"}},{{"type":"network"}}]}}}}"#
    )
}
