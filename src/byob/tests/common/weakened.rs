//! What falls with each guard.

use super::tricks::{play_with, rows, run_workers_without, surprises};
use super::{TestBed, run};

/// A guard, and where it shows that it is missing: a group of tricks, and an index of
/// [`super::SANDBOXES`].
#[derive(Debug, Clone, Copy)]
pub struct Guard {
    pub name: &'static str,
    pub is: &'static str,
    pub group: &'static str,
    pub sandbox: usize,
}

const MINIMAL_NONE: usize = 0;
const MINIMAL_ENGINE: usize = 1;
const MINIMAL_STRICT: usize = 2;

const fn guard(name: &'static str, is: &'static str, group: &'static str, sandbox: usize) -> Guard {
    Guard {
        name,
        is,
        group,
        sandbox,
    }
}

#[rustfmt::skip]
pub const GUARDS: &[Guard] = &[
    guard("PidNamespace", "a worker's PID namespace", "Processes", MINIMAL_NONE),
    guard("MountNamespace", "a worker's mount namespace", "Meetings", MINIMAL_NONE),
    guard("UtsNamespace", "a worker's UTS namespace", "Privileges", MINIMAL_NONE),
    guard("IpcNamespace", "a worker's IPC namespace", "Meetings", MINIMAL_NONE),
    guard("UserNamespace", "a worker's user namespace", "Privileges", MINIMAL_NONE),
    guard("NetworkNamespace", "a worker's network namespace", "Meetings", MINIMAL_NONE),
    guard("DroppedCapabilities", "a spawner's capabilities are dropped", "Privileges", MINIMAL_NONE),
    guard("NoNewPrivileges", "`no_new_privs`", "Privileges", MINIMAL_NONE),
    guard("Filter", "the filter", "Privileges", MINIMAL_STRICT),
    guard("FilterOfSandbox", "the filter: the sandbox", "File system", MINIMAL_ENGINE),
    guard("FilterOfIdentity", "the filter: identity", "Privileges", MINIMAL_ENGINE),
    guard("FilterOfProcesses", "the filter: other processes", "Processes", MINIMAL_ENGINE),
    guard("FilterOfKernelDoors", "the filter: doors into the kernel", "Privileges", MINIMAL_ENGINE),
    guard("FilterOfMachine", "the filter: the machine", "Privileges", MINIMAL_ENGINE),
    guard("FilterOfMeetingPlaces", "the filter: meeting places", "Meetings", MINIMAL_ENGINE),
    guard("FilterOfArguments", "the filter: arguments", "Privileges", MINIMAL_ENGINE),
    guard("FilterOfStrictLevel", "the filter: all that is not needed", "Processes", MINIMAL_STRICT),
    guard("LimitOfAddresses", "`RLIMIT_AS`", "Resources", MINIMAL_STRICT),
    guard("LimitOfData", "`RLIMIT_DATA`", "Resources", MINIMAL_STRICT),
    guard("LimitOfTime", "`RLIMIT_CPU`", "Resources", MINIMAL_STRICT),
    guard("LimitOfProcesses", "`RLIMIT_NPROC`", "Resources", MINIMAL_STRICT),
    guard("LimitOfDescriptors", "`RLIMIT_NOFILE`", "Resources", MINIMAL_STRICT),
    guard("LimitOfStack", "`RLIMIT_STACK`", "Resources", MINIMAL_STRICT),
    guard("LimitOfFileSize", "`RLIMIT_FSIZE`", "Resources", MINIMAL_STRICT),
    guard("LimitOfCore", "`RLIMIT_CORE`", "Resources", MINIMAL_STRICT),
    guard("ReadOnlyRoot", "the root is read-only", "File system", MINIMAL_NONE),
    guard("DetachedRoot", "the old root is detached", "File system", MINIMAL_NONE),
    guard("MountFlags", "nosuid and nodev", "Own files", MINIMAL_NONE),
    guard("TmpSize", "the size of `/tmp`", "Own files", MINIMAL_NONE),
    guard("ClosedDescriptors", "descriptors are closed", "File system", MINIMAL_NONE),
    guard("DeathSignal", "death with the spawner", "Processes", MINIMAL_NONE),
    guard("Kill", "the deadline's kill", "Processes", MINIMAL_NONE),
];

/// What becomes of the tricks without a guard that its table does not allow.
pub fn falls_without(guard: &Guard) -> Vec<String> {
    let rows = rows(guard.group);
    let Guard {
        name,
        group,
        sandbox,
        ..
    } = *guard;
    let (send, receive) = std::sync::mpsc::channel();
    let weakened = async move |bed: TestBed| {
        let place = tempfile::tempdir().unwrap();
        let run_workers = run_workers_without(name, place.path());
        let played = play_with(&bed, group, &rows, &run_workers).await;
        send.send(surprises(sandbox, &rows, &played)).unwrap();
    };
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(sandbox, weakened)));
    match (receive.try_recv(), ended) {
        (Ok(surprises), Ok(())) => surprises,
        (_, Err(panic)) => vec![told(&*panic)],
        (Err(_), Ok(())) => Vec::new(),
    }
}

/// What a check said that stopped the tricks.
fn told(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    let text = text.unwrap_or("it stops");
    let line = text.lines().next().unwrap_or_default();
    format!("the suite stops: {line}")
}
