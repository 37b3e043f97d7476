//! What a hostile UDF may try to reach on the host, and what it must not leave there.

use std::fs;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::unistd::Pid;

use super::processes;
use super::trick_table::Row;

/// A file, a port and sockets that a UDF could reach if it were not in a sandbox.
pub struct Host {
    /// The name of the sockets, and of every process that a trick starts.
    pub token: String,
    file: tempfile::NamedTempFile,
    port: TcpListener,
    _listener: UnixListener,
    _datagrams: UnixDatagram,
}

impl Host {
    pub fn listen() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let token = format!("h{}-{count}", std::process::id());
        let name =
            |suffix: &str| SocketAddr::from_abstract_name(format!("{token}{suffix}")).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "secret").unwrap();
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644)).unwrap();
        Self {
            file,
            port: TcpListener::bind("127.0.0.1:0").unwrap(),
            _listener: UnixListener::bind_addr(&name("")).unwrap(),
            _datagrams: UnixDatagram::bind_addr(&name("-datagrams")).unwrap(),
            token,
        }
    }

    /// The argument of a trick: where the thing is that it tries to reach.
    pub fn argument_of(&self, row: &Row) -> String {
        match row.trick.as_str() {
            "read_host_file" => self.file.path().display().to_string(),
            "reach_host_by_loopback" => self.port.local_addr().unwrap().port().to_string(),
            _ => String::new(),
        }
    }

    /// Waits for the worker that carries the token. Returns it and its spawner.
    pub async fn worker_and_spawner(&self) -> (Pid, Pid) {
        loop {
            let named = |pid: &Pid| processes::name(*pid).is_some_and(|name| name == self.token);
            let worker = processes::all().find(named);
            let found = worker.and_then(|worker| Some((worker, processes::parent(worker)?)));
            if let Some(found) = found {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub fn assert_nothing_is_left(&self) {
        let left = self.leftovers();
        assert!(left.is_empty(), "left behind: {}", left.join(", "));
    }

    /// Processes that carry the token, and descriptors that a trick pushed into this process.
    fn leftovers(&self) -> Vec<String> {
        let mut left = Vec::new();
        for name in processes::all().filter_map(processes::name) {
            if name.trim_end_matches('x') == self.token {
                left.push("a process".to_owned());
            }
        }
        for entry in fs::read_dir("/proc/self/fd").unwrap().flatten() {
            let link = fs::read_link(entry.path()).unwrap_or_default();
            if link
                .to_string_lossy()
                .contains(&format!("memfd:{}", self.token))
            {
                left.push(format!("descriptor {link:?}"));
            }
        }
        left
    }
}

/// The permitted capabilities of a process.
pub fn capabilities(process: Pid) -> u64 {
    let permitted = processes::status_field(process, "CapPrm:").unwrap_or_default();
    u64::from_str_radix(&permitted, 16).unwrap_or(0)
}

/// Whether two processes share a namespace of one of these kinds.
pub fn share_one(kinds: &[&str], one: Pid, other: Pid) -> bool {
    let namespace = |pid: Pid, kind: &str| fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok();
    kinds.iter().any(|kind| {
        let own = namespace(one, kind);
        own.is_some() && own == namespace(other, kind)
    })
}

/// The process that all pools come from: two generations below this process, among the ancestors of a
/// spawner.
pub fn holder(spawner: Pid) -> Option<Pid> {
    let ancestors: Vec<_> = std::iter::successors(Some(spawner), |pid| processes::parent(*pid))
        .take_while(|pid| *pid != Pid::this())
        .collect();
    ancestors.len().checked_sub(2).map(|at| ancestors[at])
}

/// Opens the host's root so that every program that this process starts inherits it, as a careless
/// library in an integrator's process might.
pub fn leak_a_descriptor() {
    static LEAKED: OnceLock<i32> = OnceLock::new();
    LEAKED.get_or_init(|| {
        let root = fs::File::open("/").unwrap();
        nix::fcntl::fcntl(&root, nix::fcntl::FcntlArg::F_DUPFD(100)).unwrap()
    });
}
