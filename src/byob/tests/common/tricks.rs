//! Plays the tricks of `hostile_udf`, and knows from the table in its README how each is to fail.

use std::fs;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use roma_byob::{
    CodeToken, Error, ExecuteOptions, Execution, ExitStatus, LoadOptions, Outcome, Service,
};

use super::{TestBed, patient, processes, program, udf, workers};

/// A row of the table: a trick, and what may come of it in each of [`super::SANDBOXES`].
#[derive(Debug, Clone)]
pub struct Row {
    pub trick: String,
    pub expected: Vec<String>,
}

/// What came of a trick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Played {
    pub trick: String,
    /// As the table says it: an error's name, a signal's, `nothing`, `deadline` and so on.
    pub outcome: String,
    /// What it got, for people.
    pub detail: String,
}

/// How long those may hang that are to be ended by their deadline.
const DEADLINE: Duration = Duration::from_millis(400);
/// How long what left something lives on.
const LINGER: Duration = Duration::from_secs(2);

/// The rows below the heading `group`.
pub fn rows(group: &str) -> Vec<Row> {
    let text = fs::read_to_string(program("ROMA_HOSTILE_TABLE")).unwrap();
    let section = text
        .split("\n## ")
        .find_map(|section| section.strip_prefix(group)?.strip_prefix('\n'));
    let section = section.unwrap_or_else(|| panic!("the table has no group {group:?}"));
    section.lines().filter_map(row).collect()
}

/// `| trick | what it tries | cell | ... |`, with one cell for all sandboxes or one for each.
fn row(line: &str) -> Option<Row> {
    let line = line.strip_prefix("| `")?.strip_suffix(" |")?;
    let (trick, rest) = line.split_once("` | ")?;
    let mut cells: Vec<String> = rest.split(" | ").skip(1).map(str::to_owned).collect();
    if cells.len() == 1 {
        cells = vec![cells[0].clone(); super::SANDBOXES.len()];
    }
    assert_eq!(cells.len(), super::SANDBOXES.len(), "{line}");
    Some(Row {
        trick: trick.to_owned(),
        expected: cells,
    })
}

impl Row {
    pub fn allows(&self, sandbox: usize, outcome: &str) -> bool {
        self.expected[sandbox]
            .split(" or ")
            .any(|expected| expected == outcome)
    }

    fn is_to_hang(&self) -> bool {
        [TAKE_OVER, SHARE, SHARE_WITH_OTHERS].contains(&self.trick.as_str())
            || self.expected.iter().any(|cell| cell == "deadline")
    }
}

/// Tricks that only wait, while the host looks at their process and its spawner.
const TAKE_OVER: &str = "take_over_spawner";
const SHARE: &str = "share_namespaces_with_spawner";
const SHARE_WITH_OTHERS: &str = "share_namespaces_with_other_code";
/// What a spawner may do: take its workers' users, kill them, and make namespaces where the kernel
/// keeps that for the capable. `CAP_KILL`, `CAP_SETUID`, `CAP_SYS_ADMIN`.
const SPAWNERS: u64 = 1 << 5 | 1 << 7 | 1 << 21;

/// How the code of a group is loaded.
pub fn options(group: &str) -> LoadOptions {
    let mut options = LoadOptions {
        max_live: Some(64),
        ..workers(2)
    };
    match group {
        "Own files" => {
            options.private_tmp = Some(1 << 20);
            options.proc = true;
        }
        "Resources" => {
            options.private_tmp = Some(1 << 20);
            // (gVisor counts each thread that wants a processor, sixteen of them on a machine that is slow)
            options.limits.cpu_time = Some(Duration::from_secs(2));
            options.limits.address_space = Some(256 << 20);
            options.limits.data = Some(64 << 20);
            options.limits.open_files = 64;
            options.limits.processes = 16;
            options.limits.file_size = Some(64 << 10);
            options.limits.stack = 1 << 20;
        }
        "Meetings" => {
            options.private_tmp = Some(1 << 20);
            options.exit_grace = LINGER;
        }
        "Meetings without files" => options.exit_grace = LINGER,
        _ => {}
    }
    options
}

/// Plays all tricks of a group on one service. Whatever they do, the pool goes on serving and nothing
/// of them stays.
pub async fn play(bed: &TestBed, group: &str, rows: &[Row]) -> Vec<Played> {
    play_with(bed, group, rows, &program("ROMA_RUN_WORKERS")).await
}

/// The same with another `run_workers`.
pub async fn play_with(
    bed: &TestBed,
    group: &str,
    rows: &[Row],
    run_workers: &Path,
) -> Vec<Played> {
    leak_a_descriptor();
    let builder = bed.builder().run_workers(run_workers);
    let service = builder.start().await.unwrap();
    let code = service.load(udf("hostile_udf"), options(group)).await;
    let stage = Stage {
        code: code.unwrap(),
        host: Host::listen(),
        service,
    };
    let mut played = Vec::new();
    let (left, alone): (Vec<&Row>, Vec<&Row>) =
        rows.iter().partition(|row| row.trick.starts_with("leave_"));
    let finds = |row: &&&Row| row.trick.starts_with("find_") && group.starts_with("Meetings");
    let (finds, alone): (Vec<&Row>, Vec<&Row>) = alone.iter().partition(finds);
    for row in alone {
        played.push(stage.play(row).await);
    }
    played.extend(stage.meet(&left, &finds).await);
    stage.end().await;
    played
}

/// Which of them came to something that the table does not allow, and to what instead.
pub fn surprises(sandbox: usize, rows: &[Row], played: &[Played]) -> Vec<String> {
    let surprise = |played: &Played| {
        let row = rows.iter().find(|row| row.trick == played.trick)?;
        let expected = &row.expected[sandbox];
        let Played { trick, outcome, .. } = played;
        (!row.allows(sandbox, outcome)).then(|| format!("`{trick}` ({expected} → {outcome})"))
    };
    played.iter().filter_map(surprise).collect()
}

/// Makes a `run_workers` that does without one of its guards.
pub fn run_workers_without(guard: &str, folder: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let mut bytes = fs::read(program("ROMA_RUN_WORKERS_WITHOUT_GUARD")).unwrap();
    bytes.extend_from_slice(format!("\nwithout-guard:{guard}").as_bytes());
    let path = folder.join("run_workers");
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Where tricks are played: one service, one piece of code, and a host to attack.
struct Stage {
    service: Service,
    code: CodeToken,
    host: Host,
}

impl Stage {
    async fn play(&self, row: &Row) -> Played {
        // Shown where a test hangs or fails.
        eprintln!("{}", row.trick);
        let played = match row.trick.as_str() {
            TAKE_OVER | SHARE | SHARE_WITH_OTHERS => self.look_at_spawner(row).await,
            _ => self.ask(row).await,
        };
        self.nothing_is_left_and_it_still_serves().await;
        played
    }

    /// Asks for a trick, and waits until its process is gone, with all that it started.
    async fn ask(&self, row: &Row) -> Played {
        let Outcome { result, .. } = self.execution(row).outcome().await;
        played(row, result.as_ref().map(|answer| &answer[..]))
    }

    fn execution(&self, row: &Row) -> Execution {
        let deadline = match row.is_to_hang() {
            true => DEADLINE,
            false => patient().deadline,
        };
        let request = format!("{} {} {}", row.trick, self.host.token, self.host.told(row));
        let options = ExecuteOptions {
            deadline,
            ..patient()
        };
        self.service.execute(&self.code, request, options)
    }

    /// What whoever took over the spawner would have, and what a worker shares with it, or it with other
    /// code's, as far as the host can see them (not in gVisor).
    async fn look_at_spawner(&self, row: &Row) -> Played {
        let mut asked = self.execution(row);
        let seen = tokio::select! {
            _ = &mut asked => None,
            seen = self.host.worker_and_spawner() => Some(seen),
        };
        let found = seen.is_some_and(|(worker, spawner)| match row.trick.as_str() {
            TAKE_OVER => capabilities(spawner) & !SPAWNERS != 0,
            SHARE => share_one(&["pid", "mnt", "uts", "ipc", "user"], worker, spawner),
            // All pools come from the holder: a namespace that one shares with it, all share.
            _ => holder(spawner).is_some_and(|holder| {
                share_one(&["pid", "mnt", "uts", "ipc", "net"], spawner, holder)
            }),
        });
        asked.report().await;
        Played {
            trick: row.trick.clone(),
            outcome: if found { "done" } else { "nothing" }.to_owned(),
            detail: String::new(),
        }
    }

    /// Some leave something and live on, others look for it, first while the former live and then
    /// when they are gone.
    async fn meet(&self, left: &[&Row], finds: &[&Row]) -> Vec<Played> {
        let mut all = Vec::new();
        let mut living = Vec::new();
        for row in left {
            let mut execution = self.execution(row);
            let result = (&mut execution).await;
            all.push(played(row, result.as_ref().map(|answer| &answer[..])));
            living.push(execution);
        }
        let mut during = Vec::new();
        for row in finds {
            during.push(self.ask(row).await);
        }
        for execution in living {
            execution.report().await;
        }
        for (row, mut during) in finds.iter().zip(during) {
            let after = self.play(row).await;
            if after.outcome != during.outcome {
                during.outcome += &format!(", then {}", after.outcome);
            }
            all.push(during);
        }
        all
    }

    async fn nothing_is_left_and_it_still_serves(&self) {
        let answer = self.service.execute(&self.code, "list", patient()).await;
        assert!(answer.unwrap().starts_with(b"done read_passwords "));
        self.host.check_nothing_is_left();
    }

    async fn end(self) {
        self.service.shutdown().await;
        self.host.check_nothing_is_left();
    }
}

fn played(row: &Row, result: Result<&[u8], &Error>) -> Played {
    let (outcome, detail) = match result {
        Ok(answer) => of_answer(&String::from_utf8_lossy(answer)),
        Err(error) => (of_error(error), error.to_string()),
    };
    Played {
        trick: row.trick.clone(),
        outcome,
        detail,
    }
}

fn of_answer(answer: &str) -> (String, String) {
    let (kind, detail) = answer.split_once(' ').unwrap_or((answer, ""));
    match kind {
        "errno" => {
            let errno = Errno::from_raw(detail.parse().unwrap());
            (format!("{errno:?}"), String::new())
        }
        kind => (kind.to_owned(), detail.to_owned()),
    }
}

fn of_error(error: &Error) -> String {
    match error {
        Error::Deadline { .. } => "deadline".to_owned(),
        Error::Response(_) => "closed".to_owned(),
        other => match other.exit().map(|exit| exit.status) {
            Some(ExitStatus::Signal(number)) => {
                Signal::try_from(number).map_or(format!("signal {number}"), |it| it.to_string())
            }
            Some(ExitStatus::Code(code)) => format!("exit {code}"),
            None => other.name().to_owned(),
        },
    }
}

/// What a UDF may want to reach on the host, and would.
struct Host {
    /// The name of everything here, and of every process that a trick starts.
    token: String,
    file: tempfile::NamedTempFile,
    port: TcpListener,
    _listener: UnixListener,
    _datagrams: UnixDatagram,
}

impl Host {
    fn listen() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let token = format!("h{}-{count}", std::process::id());
        let name =
            |suffix: &str| SocketAddr::from_abstract_name(format!("{token}{suffix}")).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "secret").unwrap();
        let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        fs::set_permissions(file.path(), readable).unwrap();
        Self {
            file,
            port: TcpListener::bind("127.0.0.1:0").unwrap(),
            _listener: UnixListener::bind_addr(&name("")).unwrap(),
            _datagrams: UnixDatagram::bind_addr(&name("-datagrams")).unwrap(),
            token,
        }
    }

    /// What a trick has to know to reach something that is there.
    fn told(&self, row: &Row) -> String {
        match row.trick.as_str() {
            "read_host_file" => self.file.path().display().to_string(),
            "reach_host_by_loopback" => self.port.local_addr().unwrap().port().to_string(),
            _ => String::new(),
        }
    }

    /// Waits for the worker that carries the token. Returns it and its spawner.
    async fn worker_and_spawner(&self) -> (Pid, Pid) {
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

    fn check_nothing_is_left(&self) {
        let left = self.leftovers();
        assert!(left.is_empty(), "left behind: {}", left.join(", "));
    }

    /// Processes that carry the token, and descriptors of this process that were pushed into it.
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
fn capabilities(process: Pid) -> u64 {
    let permitted = processes::status_field(process, "CapPrm:").unwrap_or_default();
    u64::from_str_radix(&permitted, 16).unwrap_or(0)
}

/// Whether two processes share a namespace of one of these kinds.
fn share_one(kinds: &[&str], one: Pid, other: Pid) -> bool {
    let namespace = |pid: Pid, kind: &str| fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok();
    kinds.iter().any(|kind| {
        let own = namespace(one, kind);
        own.is_some() && own == namespace(other, kind)
    })
}

/// The process that starts the spawners of all pools: the second one below this process, on the way
/// to a spawner.
fn holder(spawner: Pid) -> Option<Pid> {
    let ancestors: Vec<_> = std::iter::successors(Some(spawner), |pid| processes::parent(*pid))
        .take_while(|pid| *pid != Pid::this())
        .collect();
    ancestors.len().checked_sub(2).map(|at| ancestors[at])
}

/// Opens the host's root in a way that every program inherits which this one starts, as a careless
/// library in an integrator's process might.
fn leak_a_descriptor() {
    static LEAKED: OnceLock<i32> = OnceLock::new();
    LEAKED.get_or_init(|| {
        let root = fs::File::open("/").unwrap();
        nix::fcntl::fcntl(&root, nix::fcntl::FcntlArg::F_DUPFD(100)).unwrap()
    });
}
