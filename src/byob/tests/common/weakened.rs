//! Runs the tricks of the hostile UDF with a guard turned off.

use super::trick_table::{rows, surprises};
use super::tricks::{play_with, run_workers_without};
use super::{TestBed, run};

/// A guard, with the group of tricks and the filter level that show when it is missing.
#[derive(Debug, Clone, Copy)]
pub struct Guard {
    pub name: &'static str,
    pub description: &'static str,
    pub group: &'static str,
    pub level: usize,
}

const NONE: usize = 0;
const ENGINE: usize = 1;
const STRICT: usize = 2;

/// The first index of a mode in [`super::SANDBOXES`]; the level is added to it.
pub const MINIMAL: usize = 0;
pub const GVISOR: usize = 3;

const fn guard(
    name: &'static str,
    description: &'static str,
    group: &'static str,
    level: usize,
) -> Guard {
    Guard {
        name,
        description,
        group,
        level,
    }
}

#[rustfmt::skip]
pub const GUARDS: &[Guard] = &[
    guard("PidNamespace", "a worker's PID namespace", "Processes", NONE),
    guard("MountNamespace", "a worker's mount namespace", "Meetings", NONE),
    guard("UtsNamespace", "a worker's UTS namespace", "Privileges", NONE),
    guard("IpcNamespace", "a worker's IPC namespace", "Meetings", NONE),
    guard("UserNamespace", "a worker's user namespace", "Privileges", NONE),
    guard("NetworkNamespace", "a worker's network namespace", "Meetings", NONE),
    guard("DroppedCapabilities", "a spawner's capabilities are dropped", "Privileges", NONE),
    guard("NoNewPrivileges", "`no_new_privs`", "Privileges", NONE),
    guard("Filter", "the filter", "Privileges", STRICT),
    guard("FilterOfSandbox", "the filter: the sandbox", "File system", ENGINE),
    guard("FilterOfIdentity", "the filter: identity", "Privileges", ENGINE),
    guard("FilterOfProcesses", "the filter: other processes", "Processes", ENGINE),
    guard("FilterOfKernelDoors", "the filter: doors into the kernel", "Privileges", ENGINE),
    guard("FilterOfMachine", "the filter: the machine", "Privileges", ENGINE),
    guard("FilterOfMeetingPlaces", "the filter: meeting places", "Meetings", ENGINE),
    guard("FilterOfArguments", "the filter: arguments", "Privileges", ENGINE),
    guard("FilterOfStrictLevel", "the filter: all that is not needed", "Processes", STRICT),
    guard("LimitOfAddresses", "`RLIMIT_AS`", "Resources", STRICT),
    guard("LimitOfData", "`RLIMIT_DATA`", "Resources", STRICT),
    guard("LimitOfTime", "`RLIMIT_CPU`", "Resources", STRICT),
    guard("LimitOfProcesses", "`RLIMIT_NPROC`", "Resources", STRICT),
    guard("LimitOfDescriptors", "`RLIMIT_NOFILE`", "Resources", STRICT),
    guard("LimitOfStack", "`RLIMIT_STACK`", "Resources", STRICT),
    guard("LimitOfFileSize", "`RLIMIT_FSIZE`", "Resources", STRICT),
    guard("LimitOfCore", "`RLIMIT_CORE`", "Resources", STRICT),
    guard("LimitOfSignals", "`RLIMIT_SIGPENDING`, `RLIMIT_MSGQUEUE`", "Resources", NONE),
    guard("ReadOnlyRoot", "the root is read-only", "File system", NONE),
    guard("DetachedRoot", "the old root is detached", "File system", NONE),
    guard("ProcessGroup", "a process group of its own", "Meetings", NONE),
    guard("SessionKeyring", "a session keyring of its own", "Privileges", NONE),
    guard("OwnRoot", "each worker has a root of its own", "Meetings", STRICT),
    guard("MountFlags", "nosuid and nodev", "Own files", NONE),
    guard("TmpSize", "the size of `/tmp`", "Own files", NONE),
    guard("ClosedDescriptors", "descriptors are closed", "File system", NONE),
    guard("DeathSignal", "death with the spawner", "Processes", NONE),
    guard("Kill", "the deadline's kill", "Processes", NONE),
    guard("PidNamespaceOfPool", "a pool's PID namespace", "Privileges", NONE),
    guard("MountNamespaceOfPool", "a pool's mount namespace", "Privileges", NONE),
    guard("UtsNamespaceOfPool", "a pool's UTS namespace", "Privileges", NONE),
    guard("IpcNamespaceOfPool", "a pool's IPC namespace", "Privileges", NONE),
    guard("NetworkNamespaceOfPool", "a pool's network namespace", "Privileges", NONE),
];

/// Plays the group of tricks of a guard without the guard, in one of the modes. Returns the outcomes that
/// the table does not allow.
pub fn surprises_without(guard: &Guard, mode: usize) -> Vec<String> {
    let rows = rows(guard.group);
    let Guard { name, group, .. } = *guard;
    let sandbox = mode + guard.level;
    let (send, receive) = std::sync::mpsc::channel();
    let weakened = async move |bed: TestBed| {
        let folder = tempfile::tempdir().unwrap();
        let run_workers = run_workers_without(name, folder.path());
        let played = play_with(&bed, group, &rows, &run_workers).await;
        send.send(surprises(sandbox, &rows, &played)).unwrap();
    };
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(sandbox, weakened)));
    match (receive.try_recv(), ended) {
        (Ok(surprises), Ok(())) => surprises,
        (_, Err(panic)) => vec![describe(&*panic)],
        (Err(_), Ok(())) => Vec::new(),
    }
}

/// The message of the check that stopped the suite.
fn describe(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    let text = text.unwrap_or("a panic without a message");
    let line = text.lines().next().unwrap_or_default();
    format!("the suite stops: {line}")
}
