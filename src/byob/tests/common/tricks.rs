//! Plays the tricks of `hostile_udf`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::Signal;
use roma_byob::{
    CodeToken, Error, ExecuteOptions, Execution, ExitStatus, LoadOptions, Outcome, Service,
};

use super::attacked_host::{Host, capabilities, holder, leak_a_descriptor, share_one};
use super::trick_table::{Played, Row};
use super::{TestBed, patient, program, udf, workers};

/// The deadline of tricks that are expected to hang.
const DEADLINE: Duration = Duration::from_millis(400);
/// How long a process that left something stays alive: longer than looking for all of it takes.
const LINGER: Duration = Duration::from_secs(6);

/// Tricks that only wait, while the host inspects their worker and its spawner.
const TAKE_OVER: &str = "take_over_spawner";
const SHARE: &str = "share_namespaces_with_spawner";
const SHARE_WITH_OTHERS: &str = "share_namespaces_with_other_code";
const INSPECTED: [&str; 3] = [TAKE_OVER, SHARE, SHARE_WITH_OTHERS];

/// The capabilities that a spawner needs: `CAP_KILL`, `CAP_SETUID` to take the users of its workers, and
/// `CAP_SYS_ADMIN` where the kernel demands it for new namespaces.
const SPAWNER_CAPABILITIES: u64 = 1 << 5 | 1 << 7 | 1 << 21;

/// The options with which the code of a group is loaded.
fn options(group: &str) -> LoadOptions {
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
            // gVisor counts each thread that wants a processor; on a slow machine these are sixteen.
            options.limits.cpu_time = Some(Duration::from_secs(2));
            options.limits.address_space = Some(256 << 20);
            options.limits.data = Some(64 << 20);
            options.limits.open_files = 64;
            options.limits.processes = 16;
            options.limits.file_size = Some(64 << 10);
            options.limits.stack = 1 << 20;
        }
        "Starving" => {
            options.limits.data = Some(64 << 20);
            options.limits.processes = 32;
        }
        "Meetings" => {
            // So that they meet, if anything lets them.
            options.spawners = Some(1);
            options.private_tmp = Some(1 << 20);
            options.exit_grace = LINGER;
        }
        "Meetings without files" => {
            options.spawners = Some(1);
            options.exit_grace = LINGER;
        }
        _ => {}
    }
    options
}

/// Plays all tricks of a group on one service. Asserts after each that it left nothing behind and that
/// the pool still serves.
pub async fn play(bed: &TestBed, group: &str, rows: &[Row]) -> Vec<Played> {
    play_with(bed, group, rows, &program("ROMA_RUN_WORKERS")).await
}

/// Like [`play`], with another `run_workers`.
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
    let (leaving, others): (Vec<&Row>, Vec<&Row>) =
        rows.iter().partition(|row| row.trick.starts_with("leave_"));
    let is_finding = |row: &&&Row| row.trick.starts_with("find_") && group.starts_with("Meetings");
    let (finding, others): (Vec<&Row>, Vec<&Row>) = others.iter().partition(is_finding);
    for row in others {
        played.push(stage.play(row).await);
    }
    played.extend(stage.play_meetings(&leaving, &finding).await);
    stage.end().await;
    played
}

/// Makes a `run_workers` with one of its guards turned off.
pub fn run_workers_without(guard: &str, folder: &Path) -> PathBuf {
    let mut bytes = fs::read(program("ROMA_RUN_WORKERS_WITHOUT_GUARD")).unwrap();
    bytes.extend_from_slice(format!("\nwithout-guard:{guard}").as_bytes());
    let path = folder.join("run_workers");
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// A service with the hostile UDF, and a host for it to attack.
struct Stage {
    service: Service,
    code: CodeToken,
    host: Host,
}

impl Stage {
    async fn play(&self, row: &Row) -> Played {
        // Names the trick when a test hangs or fails.
        eprintln!("{}", row.trick);
        let played = match row.trick.as_str() {
            trick if INSPECTED.contains(&trick) => self.inspect_spawner(row).await,
            _ => self.request(row).await,
        };
        self.assert_clean_and_serving().await;
        played
    }

    /// Requests a trick, and waits until its process and all that it started are gone.
    async fn request(&self, row: &Row) -> Played {
        let Outcome { result, .. } = self.execution(row).outcome().await;
        played(row, result.as_ref().map(|answer| &answer[..]))
    }

    fn execution(&self, row: &Row) -> Execution {
        let hangs = row.expects_deadline() || INSPECTED.contains(&row.trick.as_str());
        let deadline = match hangs {
            true => DEADLINE,
            false => patient().deadline,
        };
        let argument = self.host.argument_of(row);
        let request = format!("{} {} {argument}", row.trick, self.host.token);
        let options = ExecuteOptions {
            deadline,
            ..patient()
        };
        self.service.execute(&self.code, request, options)
    }

    /// Checks from the host, while the worker runs: the capabilities of its spawner, and the namespaces
    /// that it shares with its spawner, or the spawner with those of other code. In gVisor the host sees
    /// none of these processes.
    async fn inspect_spawner(&self, row: &Row) -> Played {
        let mut execution = self.execution(row);
        let seen = tokio::select! {
            _ = &mut execution => None,
            seen = self.host.worker_and_spawner() => Some(seen),
        };
        let found = seen.is_some_and(|(worker, spawner)| match row.trick.as_str() {
            TAKE_OVER => capabilities(spawner) & !SPAWNER_CAPABILITIES != 0,
            SHARE => share_one(&["pid", "mnt", "uts", "ipc", "user"], worker, spawner),
            // All pools come from the holder: a namespace that one pool shares with it, all share.
            _ => holder(spawner).is_some_and(|holder| {
                share_one(&["pid", "mnt", "uts", "ipc", "net"], spawner, holder)
            }),
        });
        execution.report().await;
        Played {
            trick: row.trick.clone(),
            outcome: if found { "done" } else { "nothing" }.to_owned(),
            detail: String::new(),
        }
    }

    /// Plays the tricks that leave something and stay alive, then those that look for it: once while the
    /// former are alive, and once when they are gone.
    async fn play_meetings(&self, leaving: &[&Row], finding: &[&Row]) -> Vec<Played> {
        let mut all = Vec::new();
        let mut alive = Vec::new();
        for row in leaving {
            let mut execution = self.execution(row);
            let result = (&mut execution).await;
            all.push(played(row, result.as_ref().map(|answer| &answer[..])));
            alive.push(execution);
        }
        let mut during = Vec::new();
        for row in finding {
            during.push(self.request(row).await);
        }
        for execution in alive {
            execution.report().await;
        }
        for (row, mut during) in finding.iter().zip(during) {
            let after = self.play(row).await;
            if after.outcome != during.outcome {
                during.outcome += &format!(", then {}", after.outcome);
            }
            all.push(during);
        }
        all
    }

    async fn assert_clean_and_serving(&self) {
        let answer = self.service.execute(&self.code, "list", patient()).await;
        assert!(answer.unwrap().starts_with(b"done read_passwords "));
        self.host.assert_nothing_is_left();
    }

    async fn end(self) {
        self.service.shutdown().await;
        self.host.assert_nothing_is_left();
    }
}

fn played(row: &Row, result: Result<&[u8], &Error>) -> Played {
    let (outcome, detail) = match result {
        Ok(answer) => outcome_of_answer(&String::from_utf8_lossy(answer)),
        Err(error) => (outcome_of_error(error), error.to_string()),
    };
    Played {
        trick: row.trick.clone(),
        outcome,
        detail,
    }
}

fn outcome_of_answer(answer: &str) -> (String, String) {
    let (kind, detail) = answer.split_once(' ').unwrap_or((answer, ""));
    match kind {
        "errno" => {
            let errno = Errno::from_raw(detail.parse().unwrap());
            (format!("{errno:?}"), String::new())
        }
        kind => (kind.to_owned(), detail.to_owned()),
    }
}

fn outcome_of_error(error: &Error) -> String {
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
