//! A pool: makes its root, then its spawners.

use crate::root::{self, Root};
use crate::spawner::{self, Setting};
use nix::errno::Errno;
use nix::sched::CloneFlags;
use roma_protocol::control::Load;
use roma_protocol::spawner::FromSpawner;
use roma_sandbox::cgroup::Group;
use roma_sandbox::clone::{Forked, fork_into};
use roma_sandbox::guard::{Guard, stands};
use roma_sandbox::step;
use roma_sandbox::step::{Step, StepFailure};
use roma_sandbox::{fdpass, namespaces};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;
use std::time::Instant;

/// Everything that a pool's first process starts with.
pub(crate) struct Plan {
    pub(crate) load: Load,
    pub(crate) code: OwnedFd,
    pub(crate) connections: Vec<OwnedFd>,
    pub(crate) group: Group,
    /// Outer user and group, where the pool is in a user namespace of its own that has no map yet.
    pub(crate) map_user: Option<(u32, u32)>,
    pub(crate) first_user: u32,
    pub(crate) started: Instant,
}

impl Plan {
    /// How many user numbers a pool has: one for each worker that may live.
    pub(crate) const USERS: u32 =
        (roma_protocol::control::MAX_SPAWNERS * roma_protocol::spawner::MAX_LIVE) as u32;
}

/// Runs as process 1 of the pool until its host ends connection 0.
pub(crate) fn run(plan: Plan) -> ExitCode {
    let Plan {
        load,
        code,
        connections,
        group,
        map_user,
        first_user,
        started,
    } = plan;
    let in_force = group.in_force();
    let prepared = enter(&group, map_user)
        .and_then(|privileged_clone| root::make(&load, code).map(|root| (root, privileged_clone)));
    let (
        Root {
            null,
            tmp_options,
            receiving,
        },
        privileged_clone,
    ) = match prepared {
        Ok(prepared) => prepared,
        Err(failure) => return refuse(connections.first(), failure),
    };
    match split(connections) {
        Ok((index, connection)) => spawner::run(
            connection,
            null,
            Setting {
                load,
                tmp_options,
                index,
                first_user: first_user + index * roma_protocol::spawner::MAX_LIVE as u32,
                privileged_clone,
                in_force,
                started,
                receiving,
            },
        ),
        Err((connection, failure)) => refuse(connection.as_ref(), failure),
    }
}

/// Tells the host why there will be no spawner.
pub(crate) fn refuse(connection: Option<&OwnedFd>, failure: StepFailure) -> ExitCode {
    if let Some(connection) = connection {
        tell(connection.as_fd(), failure);
    }
    ExitCode::FAILURE
}

fn tell(connection: BorrowedFd<'_>, failure: StepFailure) {
    // A host that is gone need not know.
    let _ = fdpass::send(connection, &FromSpawner::SetupFailed(failure).encode(), &[]);
}

/// Takes its places outside the file system. Says whether cloning will need a capability.
fn enter(group: &Group, map_user: Option<(u32, u32)>) -> Result<bool, StepFailure> {
    step::run(Step::JoinCgroup, || group.join())?;
    step::run(Step::Unshare, || {
        if let Some((user, group)) = map_user {
            namespaces::become_root_of_user_namespace(user, group)?;
        }
        // No session of its own: nobody here has a terminal, and in gVisor a process of a nested PID
        // namespace that begins one below another one stops the whole kernel.
        namespaces::hide_host_name()
    })?;
    // Without a user namespace of its own, a worker gets no other either but from someone capable.
    Ok(!namespaces::user_namespaces_are_for_everyone() || !stands(Guard::UserNamespace))
}

type Lonely = (Option<OwnedFd>, StepFailure);

/// Forks a process for each connection but the first. Every process goes on with its own.
fn split(connections: Vec<OwnedFd>) -> Result<(u32, OwnedFd), Lonely> {
    let mut connections = (0..).zip(connections);
    let Some((_, first)) = connections.next() else {
        return Err((
            None,
            StepFailure {
                step: Step::ForkSpawner,
                errno: Errno::EBADF as i32,
            },
        ));
    };
    for (index, connection) in connections.by_ref() {
        match step::run(Step::ForkSpawner, || fork_into(CloneFlags::empty())) {
            Ok(Forked::Parent(_)) => {}
            Ok(Forked::Child) => return Ok((index, connection)),
            Err(failure) => return Err((Some(first), failure)),
        }
    }
    Ok((0, first))
}
