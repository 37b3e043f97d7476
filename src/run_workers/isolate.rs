//! Isolating `run_workers` itself if there is no outer sandbox: for development, and for hosts without
//! gVisor.

use std::path::Path;
use std::process::ExitCode;

use nix::sched::CloneFlags;
use nix::unistd::{Pid, getgid, getuid, setsid};
use roma_sandbox::cgroup::{Hierarchies, remove_groups};
use roma_sandbox::clone::{Forked, fork_into};
use roma_sandbox::step::{self, Step, StepFailure};
use roma_sandbox::{mounts, namespaces, signals, wait};

use crate::control::Control;

/// Which process this is after [`enter`].
pub(crate) enum Entered {
    /// The process that serves.
    Inside(Context),
    /// A process that has nothing more to do.
    Ended(ExitCode),
}

/// What the holder knows about the process that it runs in.
pub(crate) struct Context {
    pub(crate) control: Control,
    pub(crate) isolated: bool,
    pub(crate) rootless: bool,
    pub(crate) hierarchies: Hierarchies,
    /// Prefix of the names of this instance's control groups.
    pub(crate) group_prefix: String,
}

/// Names of control groups are `roma-<pid>-<pool>`.
const GROUP_PREFIX: &str = "roma-";

/// Prepares this process to serve. With `isolated`, forks into namespaces of its own first.
pub(crate) fn enter(isolated: bool, control: Control) -> Entered {
    let hierarchies = Hierarchies::discover();
    remove_groups(&hierarchies, is_stale);
    let group_prefix = format!("{GROUP_PREFIX}{}-", std::process::id());
    let context = |rootless| Context {
        control,
        isolated,
        rootless,
        hierarchies,
        group_prefix: group_prefix.clone(),
    };
    if !isolated {
        return Entered::Inside(context(false));
    }
    let rootless = namespaces::need_user_namespace();
    // Read here: in a new user namespace every id is 65534 until the map is written.
    let ids = (getuid().as_raw(), getgid().as_raw());
    match step::run(Step::Isolate, || fork_into(outer_namespaces(rootless))) {
        Ok(Forked::Parent(pid)) => {
            drop(context);
            Entered::Ended(wait_for_inside(pid, &group_prefix))
        }
        Ok(Forked::Child) => {
            let context = context(rootless);
            match set_up(rootless, ids) {
                Ok(()) => Entered::Inside(context),
                Err(failure) => Entered::Ended(context.control.report_broken(failure)),
            }
        }
        Err(failure) => Entered::Ended(context(rootless).control.report_broken(failure)),
    }
}

fn outer_namespaces(rootless: bool) -> CloneFlags {
    let mut flags = namespaces::all();
    flags.set(CloneFlags::CLONE_NEWUSER, rootless);
    flags
}

/// Completes the isolation, in the new process.
fn set_up(rootless: bool, ids: (u32, u32)) -> Result<(), StepFailure> {
    step::run(Step::Isolate, || {
        signals::die_with_parent()?;
        setsid()?;
        if rootless {
            namespaces::become_root_of_user_namespace(ids.0, ids.1)?;
        }
        mounts::make_private()
    })
}

/// Waits, in the outer process, until the inner one ends, and removes its control groups.
fn wait_for_inside(pid: Pid, group_prefix: &str) -> ExitCode {
    let ended = wait::wait_for(pid);
    // Groups of an instance that was killed may still have been in use when this one started.
    remove_groups(&Hierarchies::discover(), |name| {
        name.starts_with(group_prefix) || is_stale(name)
    });
    match ended.map(|reaped| reaped.status.code()) {
        Ok(Some(code)) => ExitCode::from(code),
        Ok(None) | Err(_) => ExitCode::FAILURE,
    }
}

/// Returns whether a control group was left by an instance that no longer runs.
fn is_stale(name: &str) -> bool {
    let pid = name
        .strip_prefix(GROUP_PREFIX)
        .and_then(|rest| rest.split('-').next());
    let Some(pid) = pid.and_then(|pid| pid.parse::<u32>().ok()) else {
        return false;
    };
    !Path::new("/proc").join(pid.to_string()).exists()
}
