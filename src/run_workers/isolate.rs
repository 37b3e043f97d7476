//! The outer walls, where nobody else makes them: development, and hosts without gVisor.

use crate::Options;
use crate::holder::report_broken;
use nix::sched::CloneFlags;
use nix::unistd::{Pid, getgid, getuid, setsid};
use roma_sandbox::caps::{Capability, effective};
use roma_sandbox::cgroup::{Hierarchies, remove_groups};
use roma_sandbox::clone::{Forked, fork_into};
use roma_sandbox::step;
use roma_sandbox::step::{Step, StepFailure};
use roma_sandbox::{mounts, namespaces, signals, wait};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::ExitCode;

/// Which process this is now.
pub(crate) enum Entered {
    /// The one that serves.
    Inside(Place),
    /// One that has nothing more to do.
    Ended(ExitCode),
}

/// Where the holder finds itself.
pub(crate) struct Place {
    pub(crate) control: OwnedFd,
    pub(crate) isolated: bool,
    pub(crate) rootless: bool,
    pub(crate) hierarchies: Hierarchies,
    /// How the names of our control groups begin.
    pub(crate) group_prefix: String,
}

/// Names of control groups are `roma-<pid>-<pool>`.
const GROUP_PREFIX: &str = "roma-";

pub(crate) fn enter(options: Options, control: OwnedFd) -> Entered {
    let hierarchies = Hierarchies::discover();
    remove_groups(&hierarchies, is_stale);
    let group_prefix = format!("{GROUP_PREFIX}{}-", std::process::id());
    let place = |rootless| Place {
        control,
        isolated: options.isolate,
        rootless,
        hierarchies,
        group_prefix: group_prefix.clone(),
    };
    if !options.isolate {
        return Entered::Inside(place(false));
    }
    let rootless = !may_make_namespaces();
    // Asked for here: within a new user namespace everyone is nobody until the map is written.
    let ids = (getuid().as_raw(), getgid().as_raw());
    match step::run(Step::Isolate, || fork_into(outer_namespaces(rootless))) {
        Ok(Forked::Parent(pid)) => {
            drop(place);
            Entered::Ended(wait_for_inside(pid, &group_prefix))
        }
        Ok(Forked::Child) => {
            let place = place(rootless);
            match furnish(rootless, ids) {
                Ok(()) => Entered::Inside(place),
                Err(failure) => Entered::Ended(report_broken(place.control.as_fd(), failure)),
            }
        }
        Err(failure) => Entered::Ended(report_broken(place(rootless).control.as_fd(), failure)),
    }
}

/// Whether this process may make namespaces without a user namespace of its own.
pub(crate) fn may_make_namespaces() -> bool {
    effective().is_ok_and(|set| set.has(Capability::SysAdmin))
}

fn outer_namespaces(rootless: bool) -> CloneFlags {
    let mut flags = namespaces::all();
    flags.set(CloneFlags::CLONE_NEWUSER, rootless);
    flags
}

/// In the new process: makes its namespaces its own.
fn furnish(rootless: bool, ids: (u32, u32)) -> Result<(), StepFailure> {
    step::run(Step::Isolate, || {
        signals::die_with_parent()?;
        setsid()?;
        if rootless {
            namespaces::become_root_of_user_namespace(ids.0, ids.1)?;
        }
        mounts::make_private()
    })
}

/// The process outside waits for the one inside and leaves nothing of it.
fn wait_for_inside(pid: Pid, group_prefix: &str) -> ExitCode {
    let ended = wait::wait_for(pid);
    // Those of an instance that was killed were still in use when this one began.
    remove_groups(&Hierarchies::discover(), |name| {
        name.starts_with(group_prefix) || is_stale(name)
    });
    match ended.map(|reaped| reaped.status.code()) {
        Ok(Some(code)) => ExitCode::from(code),
        Ok(None) | Err(_) => ExitCode::FAILURE,
    }
}

/// Whether a control group was left by an instance that no longer runs.
fn is_stale(name: &str) -> bool {
    let pid = name
        .strip_prefix(GROUP_PREFIX)
        .and_then(|rest| rest.split('-').next());
    let Some(pid) = pid.and_then(|pid| pid.parse::<u32>().ok()) else {
        return false;
    };
    !Path::new("/proc").join(pid.to_string()).exists()
}
