//! Seeds for the fuzzers: one input for each kind of message, made by the engine's own encoders.

use std::path::{Path, PathBuf};

use prost::Message;
use roma_protocol::control::{FromRunWorkers, Hello, LibraryMount, Load, ToRunWorkers};
use roma_protocol::spawner::{Exited, FromSpawner, Ready, Spawn, ToSpawner};
use roma_protocol::{PoolId, WorkerId};
use roma_sandbox::launch::StartTimes;
use roma_sandbox::limits::{PoolLimits, WorkerLimits};
use roma_sandbox::name::ExecutionName;
use roma_sandbox::seccomp::FilterLevel;
use roma_sandbox::step::{Step, StepFailure};
use roma_sandbox::wait::{Usage, WaitStatus};

use crate::frame::framed;

/// One seed.
pub struct Seed {
    target: &'static str,
    name: &'static str,
    /// The input.
    pub bytes: Vec<u8>,
}

impl Seed {
    /// Returns the path of its file.
    #[must_use]
    pub fn path(&self, corpus: &Path) -> PathBuf {
        corpus.join(self.target).join(format!("seed-{}", self.name))
    }
}

/// Returns all seeds.
#[must_use]
pub fn all() -> Vec<Seed> {
    let groups = [control(), spawner(), data(), names(), binaries()];
    groups.into_iter().flatten().collect()
}

fn seed(target: &'static str, name: &'static str, bytes: impl Into<Vec<u8>>) -> Seed {
    let bytes = bytes.into();
    Seed {
        target,
        name,
        bytes,
    }
}

const FAILURE: StepFailure = StepFailure {
    step: Step::MountRoot,
    errno: 12,
};

fn control() -> Vec<Seed> {
    let hello = FromRunWorkers::Hello(Hello {
        rootless: true,
        isolated: false,
        start_nanos: 1_000_000,
    });
    let refused = FromRunWorkers::LoadRefused(PoolId(1), FAILURE);
    let ended = FromRunWorkers::PoolEnded(PoolId(1), WaitStatus(9));
    let broken = FromRunWorkers::Broken(FAILURE);
    let to = |name, message: ToRunWorkers| seed("to_run_workers", name, message.encode());
    let from = |name, message: FromRunWorkers| seed("from_run_workers", name, message.encode());
    vec![
        to("load", ToRunWorkers::Load(Box::new(load()))),
        to("kill", ToRunWorkers::Kill(PoolId(1))),
        to("ping", ToRunWorkers::Ping),
        from("hello", hello),
        from("load-refused", refused),
        from("pool-ended", ended),
        from("broken", broken),
        from("pong", FromRunWorkers::Pong),
    ]
}

fn load() -> Load {
    Load {
        pool: PoolId(1),
        spawners: 2,
        roots: 16,
        binary_bytes: 4096,
        filter: FilterLevel::Strict,
        private_ipc: true,
        proc: true,
        tmp_bytes: Some(1 << 20),
        worker_limits: WorkerLimits {
            processes: Some(16),
            ..Default::default()
        },
        pool_limits: PoolLimits {
            memory: Some(1 << 30),
            ..Default::default()
        },
        libraries: vec![LibraryMount {
            source: b"/mounts/0".to_vec(),
            target: b"/lib".to_vec(),
        }],
        environment: vec![b"LANG=C".to_vec()],
        arguments: vec![b"--quick".to_vec()],
    }
}

fn spawner() -> Vec<Seed> {
    let worker = WorkerId(5);
    let start = StartTimes {
        clone_nanos: 200_000,
        setup_nanos: 30_000,
        exec_nanos: 90_000,
    };
    let spawn = ToSpawner::Spawn(Spawn {
        worker,
        name: ExecutionName([9; 16]),
        host_functions: true,
        report_start: false,
    });
    let exited = FromSpawner::Exited(Exited {
        worker,
        status: WaitStatus(1 << 8),
        usage: Usage::default(),
        start,
        life_nanos: 9_000_000,
    });
    let to = |name, message: ToSpawner| seed("to_spawner", name, message.encode());
    let from = |name, message: FromSpawner| seed("from_spawner", name, message.encode());
    vec![
        to("spawn", spawn),
        to("kill", ToSpawner::Kill(worker)),
        to("ping", ToSpawner::Ping),
        from("pong", FromSpawner::Pong),
        from("ready", FromSpawner::Ready(Ready::default())),
        from("setup-failed", FromSpawner::SetupFailed(FAILURE)),
        from("started", FromSpawner::Started(worker, start)),
        from("failed", FromSpawner::Failed(worker, FAILURE)),
        from("exited", exited),
    ]
}

/// A call as the host reads it.
#[derive(Clone, PartialEq, Message)]
struct HostCallRequest {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(string, tag = "2")]
    function: String,
    #[prost(bytes = "vec", tag = "3")]
    payload: Vec<u8>,
}

fn data() -> Vec<Seed> {
    // Pieces of 4 bytes, and messages of at most 256.
    let pieces = |bytes: &[u8]| [&[3, 64], bytes].concat();
    let message = framed(&[b'x'; 200]);
    let call = HostCallRequest {
        id: 1,
        function: "lookup".into(),
        payload: b"key".to_vec(),
    };
    let calls = call.encode_length_delimited_to_vec().repeat(3);
    vec![
        seed("frame", "message", pieces(&message)),
        seed("frame", "empty", pieces(&[0])),
        seed("udf_request", "message", pieces(&message)),
        seed("udf_request", "empty", pieces(&[0])),
        seed(
            "udf_request",
            "long-length",
            pieces(&[0x85, 0, 1, 2, 3, 4, 5]),
        ),
        seed("frame", "oversize", pieces(&framed(&[b'x'; 300]))),
        seed("worker", "answers", pieces(&[b"r", &message[..]].concat())),
        seed("worker", "talks-on", pieces(b"r\x02ok and more")),
        seed("worker", "stops", pieces(&[b"r", &message[..99]].concat())),
        seed("host_calls", "three", pieces(&calls)),
    ]
}

fn names() -> Vec<Seed> {
    ["gvisor-debug", "systrap", "strict", "nsjail"]
        .map(|name| seed("configuration", name, name))
        .into()
}

fn binaries() -> Vec<Seed> {
    let dynamic = program("/lib/ld.so", &["libc.so.6"]);
    let outside = program("/lib/../secret", &["/lib/../secret"]);
    // More names than are allowed, each a separate string.
    let greedy = program("", &["x"; 1025]);
    let script = "#! /lib/ld.so -e\n";
    let outside_script = "#!/lib/../secret\n";
    vec![
        seed("elf", "static", program("", &[])),
        seed("elf", "dynamic", dynamic.clone()),
        seed("elf", "script", script),
        seed("elf", "greedy", greedy),
        seed("binary", "dynamic", dynamic),
        seed("binary", "outside", outside),
        seed("binary", "script", script),
        seed("binary", "script-outside", outside_script),
    ]
}

const ELF_HEADER: usize = 64;
const SEGMENT: usize = 56;

/// Returns a program that can be inspected but not run: headers and the strings that they name.
pub(crate) fn program(interpreter: &str, needed: &[&str]) -> Vec<u8> {
    let strings_at = ELF_HEADER + 3 * SEGMENT;
    let mut strings = format!("{interpreter}\0").into_bytes();
    let mut names = Vec::new();
    for name in needed {
        names.push((1, strings.len() as u64));
        strings.extend(format!("{name}\0").into_bytes());
    }
    let table_at = strings_at + strings.len();
    names.extend([(5, strings_at as u64), (0, 0)]);
    let table: Vec<u8> = names
        .iter()
        .flat_map(|(tag, value): &(u64, u64)| [tag.to_le_bytes(), value.to_le_bytes()].concat())
        .collect();
    let whole = table_at + table.len();
    let kind = if interpreter.is_empty() { 4 } else { 3 };
    let segments = [
        segment(1, 0, whole),
        segment(2, table_at, table.len()),
        segment(kind, strings_at, interpreter.len() + 1),
    ];
    [elf_header(), segments.concat(), strings, table].concat()
}

fn elf_header() -> Vec<u8> {
    let machine: u16 = if cfg!(target_arch = "aarch64") {
        183
    } else {
        62
    };
    let mut header = b"\x7fELF\x02\x01\x01".to_vec();
    header.resize(ELF_HEADER, 0);
    header[16] = 3;
    header[18..20].copy_from_slice(&machine.to_le_bytes());
    header[32] = ELF_HEADER as u8;
    header[54] = SEGMENT as u8;
    header[56] = 3;
    header
}

fn segment(kind: u32, offset: usize, bytes: usize) -> Vec<u8> {
    let mut segment = kind.to_le_bytes().to_vec();
    segment.extend([0; 4]);
    for number in [offset, offset, offset, bytes, bytes, 8] {
        segment.extend((number as u64).to_le_bytes());
    }
    segment
}
