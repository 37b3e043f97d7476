//! A spawner: starts workers, kills them and reports how they ended. It never waits for a UDF.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use roma_protocol::control::Load;
use roma_protocol::spawner::{Exited, FromSpawner, MESSAGE_BYTES, Ready, Spawn, ToSpawner};
use roma_sandbox::cgroup::InForce;
use roma_sandbox::descriptors::{copy_up, fill_low, set_nonblocking};
use roma_sandbox::fdpass::{self, Packet};
use roma_sandbox::gate::Gate;
use roma_sandbox::guard::{Guard, is_enabled};
use roma_sandbox::launch::{Launcher, StartTimes, Template, Worker};
use roma_sandbox::seccomp::FilterLevel;
use roma_sandbox::step::{self, Step, StepFailure};
use roma_sandbox::wait::{self, Reaped};
use roma_sandbox::{caps, rlimits, seccomp, signals};

use crate::live_workers::{LiveWorker, LiveWorkers};
use crate::privileges;
use crate::replies::{Replies, report_setup_failure};
use crate::worker_roots::Roots;

/// What a spawner gets from its pool.
pub(crate) struct SpawnerConfig {
    pub(crate) load: Load,
    pub(crate) tmp_options: Option<String>,
    pub(crate) proc_options: Option<String>,
    pub(crate) index: u32,
    pub(crate) first_user: u32,
    pub(crate) privileged_clone: bool,
    pub(crate) in_force: InForce,
    pub(crate) own_libraries: bool,
    pub(crate) started: Instant,
    pub(crate) receive_time: Duration,
}

/// Runs until the host closes the connection.
pub(crate) fn run(
    connection: OwnedFd,
    to_maker: OwnedFd,
    null: OwnedFd,
    config: SpawnerConfig,
) -> ExitCode {
    let moved = step::run(Step::PlaceDescriptors, || {
        Ok((copy_up(&connection)?, copy_up(&to_maker)?))
    });
    let (moved, to_maker) = match moved {
        Ok(moved) => moved,
        Err(failure) => return report_setup_failure(Some(&connection), failure),
    };
    drop(connection);
    let roots = Roots::new(to_maker, config.index, config.load.roots);
    match Spawner::prepare(&moved, null, roots, config) {
        Ok(mut spawner) => spawner.run(),
        Err(failure) => report_setup_failure(Some(&moved), failure),
    }
}

struct Spawner<'a> {
    connection: BorrowedFd<'a>,
    children: OwnedFd,
    launcher: Launcher,
    gate: Gate,
    /// The user id of the worker in slot 0, if workers have user ids of their own.
    first_user: Option<u32>,
    live: LiveWorkers,
    roots: Roots,
    replies: Replies,
}

impl<'a> Spawner<'a> {
    fn prepare(
        connection: &'a OwnedFd,
        null: OwnedFd,
        roots: Roots,
        config: SpawnerConfig,
    ) -> Result<Self, StepFailure> {
        let SpawnerConfig {
            load,
            first_user,
            privileged_clone,
            ..
        } = &config;
        step::run(Step::PlaceDescriptors, || fill_low(null))?;
        step::run(Step::PlaceDescriptors, || set_nonblocking(connection))?;
        let children = step::run(Step::PrepareSignals, || {
            signals::restore_sigpipe()?;
            signals::child_events()
        })?;
        step::run(Step::SetPoolLimits, || {
            rlimits::set_inherited(&load.worker_limits)
        })?;
        let own_users = step::run(Step::DropCapabilities, || {
            privileges::reduce(load, *first_user, *privileged_clone)
        })?;
        if is_enabled(Guard::NoNewPrivileges) {
            step::run(Step::NoNewPrivileges, caps::set_no_new_privileges)?;
        }
        let gate = step::run(Step::InstallFilter, || install_filter(load.filter))?;
        let launcher = step::run(Step::InstallFilter, || {
            Launcher::new(template(&config, own_users)?, gate)
        })?;
        let mut spawner = Self {
            connection: connection.as_fd(),
            children,
            launcher,
            gate,
            first_user: own_users.then_some(*first_user),
            live: LiveWorkers::default(),
            roots,
            replies: Replies::default(),
        };
        step::run(Step::InstallFilter, || {
            spawner.send(FromSpawner::Ready(ready(&config, own_users)))
        })?;
        Ok(spawner)
    }

    fn run(&mut self) -> ExitCode {
        loop {
            match self.handle_events() {
                Ok(true) => {}
                Ok(false) => return self.end(ExitCode::SUCCESS),
                Err(_) => return self.end(ExitCode::FAILURE),
            }
        }
    }

    /// Waits for events and handles them. Returns whether to go on.
    fn handle_events(&mut self) -> Result<bool, Errno> {
        let (message, room, child) = self.wait()?;
        if child {
            self.reap()?;
        }
        if room {
            self.replies.flush(self.connection)?;
        }
        if message { self.receive() } else { Ok(true) }
    }

    /// Returns whether there is a message, room for replies, and a child that has ended.
    fn wait(&self) -> Result<(bool, bool, bool), Errno> {
        let mut wanted = PollFlags::empty();
        wanted.set(PollFlags::POLLIN, !self.replies.is_full());
        wanted.set(PollFlags::POLLOUT, !self.replies.is_empty());
        let mut watched = [
            PollFd::new(self.connection, wanted),
            PollFd::new(self.children.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut watched, PollTimeout::NONE) {
            Ok(_) => {}
            Err(Errno::EINTR) => return Ok((false, false, false)),
            Err(errno) => return Err(errno),
        }
        let events = watched[0].revents().unwrap_or(PollFlags::empty());
        let ended = PollFlags::POLLHUP | PollFlags::POLLERR;
        Ok((
            events.intersects(PollFlags::POLLIN | ended),
            events.contains(PollFlags::POLLOUT),
            watched[1].any().unwrap_or(false),
        ))
    }

    fn receive(&mut self) -> Result<bool, Errno> {
        let mut buffer = [0; MESSAGE_BYTES];
        let packet = match fdpass::receive(self.connection, &mut buffer, self.gate) {
            Ok(Packet { bytes: 0, .. }) | Err(Errno::ECONNRESET) => return Ok(false),
            Ok(packet) => packet,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(true),
            Err(errno) => return Err(errno),
        };
        match ToSpawner::decode(&buffer[..packet.bytes]).map_err(|_| Errno::EPROTO)? {
            ToSpawner::Spawn(spawn) => self.spawn(spawn, &packet.descriptors)?,
            ToSpawner::Kill(worker) => {
                if let Some(pid) = self.live.pid_of(worker).filter(|_| is_enabled(Guard::Kill)) {
                    // The process is not reaped yet, so its id is not reused.
                    kill(pid, Signal::SIGKILL)?;
                }
            }
            ToSpawner::Ping => self.send(FromSpawner::Pong)?,
        }
        Ok(true)
    }

    fn spawn(&mut self, spawn: Spawn, descriptors: &[OwnedFd]) -> Result<(), Errno> {
        let accepted = Instant::now();
        match self.start(spawn, descriptors, accepted) {
            Ok(start) if spawn.report_start => self.send(FromSpawner::Started(spawn.worker, start)),
            Ok(_) => Ok(()),
            Err(failure) => self.send(FromSpawner::Failed(spawn.worker, failure)),
        }
    }

    fn start(
        &mut self,
        spawn: Spawn,
        descriptors: &[OwnedFd],
        accepted: Instant,
    ) -> Result<StartTimes, StepFailure> {
        let (data, log, host_functions) =
            step::run(Step::AcceptSpawn, || self.check(spawn, descriptors))?;
        let slot = self
            .live
            .reserve_slot()
            .ok_or_else(|| StepFailure::new(Step::AcceptSpawn, Errno::EAGAIN))?;
        let roots = &mut self.roots;
        let root = step::run(Step::MakeRoot, move || roots.of_slot(slot));
        let started = root.and_then(|root| {
            self.launcher.start(&Worker {
                name: spawn.name,
                user: self.first_user.map(|first| first + slot),
                root,
                data,
                log,
                host_functions,
            })
        });
        match started {
            Ok((pid, start)) => {
                self.live.insert(
                    pid,
                    LiveWorker {
                        worker: spawn.worker,
                        slot,
                        accepted,
                        start,
                    },
                );
                Ok(start)
            }
            Err(failure) => {
                self.live.release_slot(slot);
                Err(failure)
            }
        }
    }

    fn check<'d>(&self, spawn: Spawn, descriptors: &'d [OwnedFd]) -> Result<Attached<'d>, Errno> {
        if self.live.contains(spawn.worker) {
            return Err(Errno::EEXIST);
        }
        if descriptors.len() != spawn.descriptors() {
            return Err(Errno::EBADF);
        }
        let mut rest = descriptors.iter().map(AsFd::as_fd);
        let data = rest.next().ok_or(Errno::EBADF)?;
        let log = rest.next().ok_or(Errno::EBADF)?;
        let host_functions = if spawn.host_functions {
            rest.next()
        } else {
            None
        };
        Ok((data, log, host_functions))
    }

    fn reap(&mut self) -> Result<(), Errno> {
        signals::drain(self.children.as_fd());
        while let Some(reaped) = wait::reap_any()? {
            self.report_end(&reaped)?;
            if self.live.is_empty() {
                break;
            }
        }
        Ok(())
    }

    fn report_end(&mut self, reaped: &Reaped) -> Result<(), Errno> {
        // There are no others: one that fails to become a worker is reaped at once.
        let Some(live) = self.live.remove(reaped.pid) else {
            return Ok(());
        };
        self.send(FromSpawner::Exited(Exited {
            worker: live.worker,
            status: reaped.status,
            usage: reaped.usage,
            start: live.start,
            life_nanos: live.accepted.elapsed().as_nanos() as u64,
        }))
    }

    fn send(&mut self, message: FromSpawner) -> Result<(), Errno> {
        self.replies.send(self.connection, &message)
    }

    /// Kills the workers. They die with their spawner anyway; this does not rely on it.
    fn end(&self, code: ExitCode) -> ExitCode {
        for pid in self.live.pids() {
            let _ = kill(pid, Signal::SIGKILL);
        }
        code
    }
}

/// Data, log and host function descriptors.
type Attached<'d> = (BorrowedFd<'d>, BorrowedFd<'d>, Option<BorrowedFd<'d>>);

fn install_filter(level: FilterLevel) -> Result<Gate, Errno> {
    let gate = Gate::random()?;
    let level = match level {
        _ if !is_enabled(Guard::Filter) => FilterLevel::None,
        level => level,
    };
    match seccomp::build(level, gate) {
        None => Ok(Gate::NONE),
        Some(program) => seccomp::install(&program).map(|()| gate),
    }
}

fn template(config: &SpawnerConfig, own_users: bool) -> Result<Template, Errno> {
    let load = &config.load;
    let string = |bytes: &[u8]| CString::new(bytes).map_err(|_| Errno::EINVAL);
    let strings = |strings: &[Vec<u8>]| -> Result<Vec<CString>, Errno> {
        strings.iter().map(|bytes| string(bytes)).collect()
    };
    let options = |text: &Option<String>| -> Result<Option<CString>, Errno> {
        text.as_ref()
            .map(|text| string(text.as_bytes()))
            .transpose()
    };
    Ok(Template {
        arguments: strings(&load.arguments)?,
        environment: strings(&load.environment)?,
        private_ipc: load.private_ipc,
        private_network: load.filter == FilterLevel::None,
        private_keys: load.filter == FilterLevel::None,
        proc_options: options(&config.proc_options)?,
        tmp_options: options(&config.tmp_options)?,
        limits: rlimits::per_worker(&load.worker_limits, own_users),
    })
}

fn ready(config: &SpawnerConfig, own_user_ids: bool) -> Ready {
    Ready {
        own_user_ids,
        own_libraries: config.own_libraries,
        memory_limit: config.in_force.memory,
        processes_limit: config.in_force.processes,
        cpu_limit: config.in_force.cpu,
        setup_nanos: config.started.elapsed().as_nanos() as u64,
        receive_nanos: config.receive_time.as_nanos() as u64,
    }
}
