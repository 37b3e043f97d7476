//! A pool: creates its root, then its spawners, and makes roots for their workers.

use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::time::Instant;

use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::unistd::setsid;
use roma_protocol::control::{Load, MAX_SPAWNERS};
use roma_protocol::spawner::MAX_LIVE;
use roma_sandbox::cgroup::Group;
use roma_sandbox::clone::{Forked, fork_into};
use roma_sandbox::guard::{Guard, is_enabled};
use roma_sandbox::step::{self, Step, StepFailure};
use roma_sandbox::{fdpass, namespaces};

use crate::replies::report_setup_failure;
use crate::root::{self, Root};
use crate::spawner::{self, SpawnerConfig};

/// Number of user ids that a pool has: one for each worker that may be alive.
pub(crate) const USERS_PER_POOL: u32 = (MAX_SPAWNERS * MAX_LIVE) as u32;

/// What a pool's first process starts with.
pub(crate) struct PoolConfig {
    pub(crate) load: Load,
    pub(crate) code: OwnedFd,
    pub(crate) connections: Vec<OwnedFd>,
    pub(crate) group: Group,
    /// Whether there is no outer sandbox.
    pub(crate) isolated: bool,
    /// Outer user and group, if the pool is in a user namespace of its own, which has no map yet.
    pub(crate) outer_ids: Option<(u32, u32)>,
    pub(crate) first_user: u32,
    pub(crate) started: Instant,
}

/// Runs as process 1 of the pool until the host closes the connection of the first spawner.
pub(crate) fn run(config: PoolConfig) -> ExitCode {
    let PoolConfig {
        load,
        code,
        connections,
        group,
        isolated,
        outer_ids,
        first_user,
        started,
    } = config;
    let in_force = group.in_force();
    let prepared = enter(&group, isolated, outer_ids).and_then(|privileged_clone| {
        root::create(&load, code, isolated).map(|root| (root, privileged_clone))
    });
    let (root, privileged_clone) = match prepared {
        Ok(prepared) => prepared,
        Err(failure) => return report_setup_failure(connections.first(), failure),
    };
    let Root {
        null,
        tmp_options,
        proc_options,
        own_libraries,
        receive_time,
        maker,
    } = root;
    match fork_spawners(connections) {
        Ok(Role::Maker(spawners)) => {
            drop(null);
            maker.serve(spawners)
        }
        Ok(Role::Spawner(index, connection, to_maker)) => {
            drop(maker);
            spawner::run(
                connection,
                to_maker,
                null,
                SpawnerConfig {
                    load,
                    tmp_options,
                    proc_options,
                    index,
                    first_user: first_user + index * MAX_LIVE as u32,
                    privileged_clone,
                    in_force,
                    own_libraries,
                    started,
                    receive_time,
                },
            )
        }
        Err((connection, failure)) => report_setup_failure(connection.as_ref(), failure),
    }
}

/// Joins the control group and completes the namespaces. Returns whether starting workers will need a
/// capability.
fn enter(
    group: &Group,
    isolated: bool,
    outer_ids: Option<(u32, u32)>,
) -> Result<bool, StepFailure> {
    step::run(Step::JoinCgroup, || group.join())?;
    step::run(Step::Unshare, || {
        if let Some((user, group)) = outer_ids {
            namespaces::become_root_of_user_namespace(user, group)?;
        }
        // Linux gives each session an equal share of the processors, however many processes it has. Not
        // in gVisor, where a process of a nested PID namespace that starts a session below another one
        // stops the whole kernel.
        if isolated {
            setsid()?;
        }
        namespaces::hide_host_name()
    })?;
    // A worker that cannot have a user namespace gets its others only from a process with a capability.
    Ok(!namespaces::user_namespaces_are_unprivileged() || !is_enabled(Guard::UserNamespace))
}

/// Which process this is after [`fork_spawners`].
enum Role {
    /// The first process of the pool, with a connection to each spawner.
    Maker(Vec<OwnedFd>),
    /// A spawner: its index, its connection to the host and that to the first process.
    Spawner(u32, OwnedFd, OwnedFd),
}

/// Forks a spawner for each connection. On failure, returns the connection on which to report it.
fn fork_spawners(connections: Vec<OwnedFd>) -> Result<Role, (Option<OwnedFd>, StepFailure)> {
    let mut to_spawners = Vec::new();
    for (index, connection) in (0..).zip(connections) {
        match step::run(Step::ForkSpawner, fork_spawner) {
            Ok((Forked::Parent(_), to_spawner)) => to_spawners.push(to_spawner),
            Ok((Forked::Child, to_maker)) => return Ok(Role::Spawner(index, connection, to_maker)),
            Err(failure) => return Err((Some(connection), failure)),
        }
    }
    Ok(Role::Maker(to_spawners))
}

fn fork_spawner() -> Result<(Forked, OwnedFd), Errno> {
    let (to_spawner, to_maker) = fdpass::packet_pair()?;
    let forked = fork_into(CloneFlags::empty())?;
    let ours = match forked {
        Forked::Parent(_) => to_spawner,
        Forked::Child => to_maker,
    };
    Ok((forked, ours))
}
