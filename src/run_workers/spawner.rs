//! A spawner: starts workers, kills them, tells how they ended. It never waits for a UDF.

use crate::identity;
use crate::live::{Live, LiveWorkers};
use crate::pool::refuse;
use crate::replies::Replies;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use roma_protocol::control::Load;
use roma_protocol::spawner::{Exited, FromSpawner, MESSAGE_BYTES, Ready, Spawn, ToSpawner};
use roma_sandbox::cgroup::InForce;
use roma_sandbox::descriptors::{copy_up, fill_low, set_nonblocking};
use roma_sandbox::fdpass::{self, Packet};
use roma_sandbox::gate::Gate;
use roma_sandbox::guard::{Guard, stands};
use roma_sandbox::launch::StartTimes;
use roma_sandbox::launch::{Launcher, Template, Worker};
use roma_sandbox::seccomp::FilterLevel;
use roma_sandbox::step::{self, failure};
use roma_sandbox::step::{Step, StepFailure};
use roma_sandbox::wait::{self, Reaped};
use roma_sandbox::{caps, rlimits, seccomp, signals};
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// What a spawner gets from its pool.
pub(crate) struct Setting {
    pub(crate) load: Load,
    pub(crate) tmp_options: Option<String>,
    pub(crate) index: u32,
    pub(crate) first_user: u32,
    pub(crate) privileged_clone: bool,
    pub(crate) in_force: InForce,
    pub(crate) started: Instant,
    pub(crate) receiving: Duration,
}

/// Runs until the host ends the connection.
pub(crate) fn run(connection: OwnedFd, null: OwnedFd, setting: Setting) -> ExitCode {
    let moved = match step::run(Step::PlaceDescriptors, || copy_up(&connection)) {
        Ok(moved) => moved,
        Err(failure) => return refuse(Some(&connection), failure),
    };
    drop(connection);
    match Spawner::prepare(&moved, null, setting) {
        Ok(mut spawner) => spawner.run(),
        Err(failure) => refuse(Some(&moved), failure),
    }
}

struct Spawner<'a> {
    connection: BorrowedFd<'a>,
    children: OwnedFd,
    launcher: Launcher,
    gate: Gate,
    /// The first of the numbers that workers run as, where they have their own.
    first_user: Option<u32>,
    live: LiveWorkers,
    replies: Replies,
    /// Whether this process has children that are no workers: the pool's other spawners.
    has_siblings: bool,
}

impl<'a> Spawner<'a> {
    fn prepare(
        connection: &'a OwnedFd,
        null: OwnedFd,
        setting: Setting,
    ) -> Result<Self, StepFailure> {
        let Setting {
            load,
            index,
            first_user,
            privileged_clone,
            ..
        } = &setting;
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
            identity::shrink(load, *first_user, *privileged_clone)
        })?;
        if stands(Guard::NoNewPrivileges) {
            step::run(Step::NoNewPrivileges, caps::set_no_new_privileges)?;
        }
        let gate = step::run(Step::InstallFilter, || install_filter(load.filter))?;
        let launcher = step::run(Step::InstallFilter, || {
            Launcher::new(template(&setting)?, gate)
        })?;
        let mut spawner = Self {
            connection: connection.as_fd(),
            children,
            launcher,
            gate,
            first_user: own_users.then_some(*first_user),
            live: LiveWorkers::default(),
            replies: Replies::default(),
            has_siblings: *index == 0 && load.spawners > 1,
        };
        step::run(Step::InstallFilter, || {
            spawner.tell(FromSpawner::Ready(ready(&setting, own_users)))
        })?;
        Ok(spawner)
    }

    fn run(&mut self) -> ExitCode {
        loop {
            match self.turn() {
                Ok(true) => {}
                Ok(false) => return self.end(ExitCode::SUCCESS),
                Err(_) => return self.end(ExitCode::FAILURE),
            }
        }
    }

    /// Waits for something and deals with it. Says whether to go on.
    fn turn(&mut self) -> Result<bool, Errno> {
        let (message, room, child) = self.wait()?;
        if child {
            self.reap()?;
        }
        if room {
            self.replies.flush(self.connection)?;
        }
        if message { self.receive() } else { Ok(true) }
    }

    fn wait(&self) -> Result<(bool, bool, bool), Errno> {
        let mut wanted = PollFlags::empty();
        wanted.set(PollFlags::POLLIN, !self.replies.are_many());
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
                if let Some(pid) = self.live.pid_of(worker).filter(|_| stands(Guard::Kill)) {
                    // Not reaped yet, so the number is still its own.
                    kill(pid, Signal::SIGKILL)?;
                }
            }
            ToSpawner::Ping => self.tell(FromSpawner::Pong)?,
        }
        Ok(true)
    }

    fn spawn(&mut self, spawn: Spawn, descriptors: &[OwnedFd]) -> Result<(), Errno> {
        let accepted = Instant::now();
        match self.start(spawn, descriptors, accepted) {
            Ok(start) if spawn.report_start => self.tell(FromSpawner::Started(spawn.worker, start)),
            Ok(_) => Ok(()),
            Err(failure) => self.tell(FromSpawner::Failed(spawn.worker, failure)),
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
        let place = self
            .live
            .take_place()
            .ok_or_else(|| failure(Step::AcceptSpawn, Errno::EAGAIN))?;
        let started = self.launcher.start(&Worker {
            name: spawn.name,
            user: self.first_user.map(|first| first + place),
            data,
            log,
            host_functions,
        });
        match started {
            Ok((pid, start)) => {
                self.live.insert(
                    pid,
                    Live {
                        worker: spawn.worker,
                        place,
                        accepted,
                        start,
                    },
                );
                Ok(start)
            }
            Err(failure) => {
                self.live.give_back(place);
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
            self.tell_end(&reaped)?;
            if self.live.is_empty() && !self.has_siblings {
                break;
            }
        }
        Ok(())
    }

    fn tell_end(&mut self, reaped: &Reaped) -> Result<(), Errno> {
        // Others are the pool's other spawners, and orphans.
        let Some(live) = self.live.remove(reaped.pid) else {
            return Ok(());
        };
        self.tell(FromSpawner::Exited(Exited {
            worker: live.worker,
            status: reaped.status,
            usage: reaped.usage,
            start: live.start,
            life_nanos: live.accepted.elapsed().as_nanos() as u64,
        }))
    }

    fn tell(&mut self, message: FromSpawner) -> Result<(), Errno> {
        self.replies.tell(self.connection, &message)
    }

    /// Workers die with their spawner anyway; this does not rely on it.
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
        _ if !stands(Guard::Filter) => FilterLevel::None,
        level => level,
    };
    match seccomp::build(level, gate) {
        None => Ok(Gate::NONE),
        Some(program) => seccomp::install(&program).map(|()| gate),
    }
}

fn template(
    Setting {
        load, tmp_options, ..
    }: &Setting,
) -> Result<Template, Errno> {
    let string = |bytes: &[u8]| CString::new(bytes).map_err(|_| Errno::EINVAL);
    let strings = |strings: &[Vec<u8>]| -> Result<Vec<CString>, Errno> {
        strings.iter().map(|bytes| string(bytes)).collect()
    };
    Ok(Template {
        arguments: strings(&load.arguments)?,
        environment: strings(&load.environment)?,
        private_ipc: load.private_ipc,
        private_network: load.filter == FilterLevel::None,
        proc: load.proc,
        tmp_options: tmp_options
            .as_ref()
            .map(|text| string(text.as_bytes()))
            .transpose()?,
        limits: rlimits::per_worker(&load.worker_limits),
    })
}

fn ready(setting: &Setting, own_user_ids: bool) -> Ready {
    Ready {
        own_user_ids,
        memory_limit: setting.in_force.memory,
        processes_limit: setting.in_force.processes,
        cpu_limit: setting.in_force.cpu,
        setup_nanos: setting.started.elapsed().as_nanos() as u64,
        receive_nanos: setting.receiving.as_nanos() as u64,
    }
}
