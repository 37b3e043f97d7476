//! The holder: receives `Load`, forks a process for each pool, and reports when a pool has ended.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getgid, getuid};
use roma_protocol::PoolId;
use roma_protocol::control::{FromRunWorkers, Hello, Load, MAX_MESSAGE_BYTES, ToRunWorkers};
use roma_sandbox::cgroup::Group;
use roma_sandbox::clone::{Forked, fork_into};
use roma_sandbox::fdpass::Packet;
use roma_sandbox::gate::random_u64;
use roma_sandbox::guard::{Guard, is_enabled};
use roma_sandbox::step::{self, Step, StepFailure};
use roma_sandbox::wait::WaitStatus;
use roma_sandbox::{namespaces, signals, wait};

use crate::control::Control;
use crate::isolate::Context;
use crate::pool::{PoolConfig, USERS_PER_POOL};

/// Which process this is after [`serve`].
pub(crate) enum Served {
    /// The holder, which has nothing more to do.
    Ended(ExitCode),
    /// The first process of a pool. The holder's descriptors are closed in it.
    InPool(Box<PoolConfig>),
}

/// Serves until the control connection ends.
pub(crate) fn serve(context: Context, started: Instant) -> Served {
    match Holder::prepare(&context) {
        Err(failure) => Served::Ended(context.control.report_broken(failure)),
        Ok(holder) => {
            let hello = Hello {
                rootless: context.rootless,
                isolated: context.isolated,
                start_nanos: started.elapsed().as_nanos() as u64,
            };
            context.control.send(FromRunWorkers::Hello(hello));
            holder.run()
        }
    }
}

struct Holder<'a> {
    context: &'a Context,
    children: OwnedFd,
    pools: HashMap<Pid, Pool>,
    buffer: Vec<u8>,
    users: UserBlocks,
}

struct Pool {
    id: PoolId,
    group: Group,
}

/// What to do after a message.
enum Next {
    Continue,
    End(ExitCode),
    BecomePool(Box<PoolConfig>),
}

impl<'a> Holder<'a> {
    fn prepare(context: &'a Context) -> Result<Self, StepFailure> {
        Ok(Self {
            context,
            children: step::run(Step::PrepareSignals, signals::child_events)?,
            pools: HashMap::new(),
            buffer: vec![0; MAX_MESSAGE_BYTES],
            users: step::run(Step::PrepareSignals, UserBlocks::new)?,
        })
    }

    fn run(mut self) -> Served {
        loop {
            let (message, child) = self.wait();
            if child {
                self.reap();
            }
            if message {
                match self.receive() {
                    Next::Continue => {}
                    Next::End(code) => return Served::Ended(self.end(code)),
                    Next::BecomePool(config) => return Served::InPool(config),
                }
            }
        }
    }

    /// Waits for a message or for the end of a child. Returns which of them is there.
    fn wait(&self) -> (bool, bool) {
        let mut watched = [
            PollFd::new(self.control().as_fd(), PollFlags::POLLIN),
            PollFd::new(self.children.as_fd(), PollFlags::POLLIN),
        ];
        // The only error is an interruption. Then nothing is ready and the caller waits again.
        let _ = poll(&mut watched, PollTimeout::NONE);
        let ready = |at: usize| watched[at].any().unwrap_or(false);
        (ready(0), ready(1))
    }

    fn receive(&mut self) -> Next {
        let packet = match self.context.control.receive(&mut self.buffer) {
            Ok(Packet { bytes: 0, .. }) | Err(Errno::ECONNRESET) => {
                return Next::End(ExitCode::SUCCESS);
            }
            Ok(packet) => packet,
            Err(Errno::EINTR | Errno::EAGAIN) => return Next::Continue,
            Err(errno) => return self.broken(errno),
        };
        match ToRunWorkers::decode(&self.buffer[..packet.bytes]) {
            Ok(ToRunWorkers::Load(load)) => self.load(*load, packet.descriptors),
            Ok(ToRunWorkers::Kill(pool)) => {
                self.kill(pool);
                Next::Continue
            }
            Ok(ToRunWorkers::Ping) => {
                self.control().send(FromRunWorkers::Pong);
                Next::Continue
            }
            Err(error) => {
                eprintln!("run_workers: malformed message: {error}");
                self.broken(Errno::EPROTO)
            }
        }
    }

    fn broken(&self, errno: Errno) -> Next {
        let failure = StepFailure::new(Step::AcceptLoad, errno);
        Next::End(self.control().report_broken(failure))
    }

    fn load(&mut self, load: Load, descriptors: Vec<OwnedFd>) -> Next {
        let pool = load.pool;
        match self.fork_pool(load, descriptors) {
            Ok(next) => next,
            Err(failure) => {
                self.control()
                    .send(FromRunWorkers::LoadRefused(pool, failure));
                Next::Continue
            }
        }
    }

    fn fork_pool(&mut self, load: Load, descriptors: Vec<OwnedFd>) -> Result<Next, StepFailure> {
        let started = Instant::now();
        let mut connections = descriptors.into_iter();
        let code = step::run(Step::AcceptLoad, || {
            if self.pools.values().any(|pool| pool.id == load.pool) {
                return Err(Errno::EEXIST);
            }
            match connections.next() {
                Some(code) if connections.len() == usize::from(load.spawners) => Ok(code),
                _ => Err(Errno::EBADF),
            }
        })?;
        let name = format!("{}{}", self.context.group_prefix, load.pool.0);
        let group = Group::create(&self.context.hierarchies, &name, &load.pool_limits);
        let rootless = namespaces::need_user_namespace();
        let outer_ids = rootless.then(|| (getuid().as_raw(), getgid().as_raw()));
        match step::run(Step::ForkPool, || fork_into(namespaces_of_pool(rootless))) {
            Ok(Forked::Parent(pid)) => {
                self.pools.insert(
                    pid,
                    Pool {
                        id: load.pool,
                        group,
                    },
                );
                self.users.advance();
                Ok(Next::Continue)
            }
            Ok(Forked::Child) => Ok(Next::BecomePool(Box::new(PoolConfig {
                load,
                code,
                connections: connections.collect(),
                group,
                isolated: self.context.isolated,
                outer_ids,
                first_user: self.users.first(),
                started,
            }))),
            Err(failure) => {
                // No process is in it yet.
                let _ = group.remove();
                Err(failure)
            }
        }
    }

    fn reap(&mut self) {
        signals::drain(self.children.as_fd());
        while let Ok(Some(reaped)) = wait::reap_any() {
            // Other children are orphans of a pool, which process 1 of a PID namespace inherits.
            if let Some(pool) = self.pools.remove(&reaped.pid) {
                self.report_end(&pool, reaped.status);
            }
        }
    }

    fn report_end(&self, pool: &Pool, status: WaitStatus) {
        if let Err(errno) = pool.group.remove() {
            eprintln!(
                "run_workers: {}: its control group cannot be removed: {errno}",
                pool.id
            );
        }
        self.control()
            .send(FromRunWorkers::PoolEnded(pool.id, status));
    }

    fn kill(&self, id: PoolId) {
        for (pid, _) in self.pools.iter().filter(|(_, pool)| pool.id == id) {
            // The process is not reaped yet, so its id is not reused.
            let _ = kill(*pid, Signal::SIGKILL);
        }
    }

    /// Kills every pool and waits until all their processes have ended.
    fn end(self, code: ExitCode) -> ExitCode {
        for pid in self.pools.keys() {
            // One that has ended is not reaped yet, so its id is not reused.
            let _ = kill(*pid, Signal::SIGKILL);
        }
        for (pid, pool) in &self.pools {
            let _ = wait::wait_for(*pid);
            let _ = pool.group.remove();
        }
        code
    }

    fn control(&self) -> &Control {
        &self.context.control
    }
}

/// The namespaces that each pool has of its own.
fn namespaces_of_pool(rootless: bool) -> CloneFlags {
    let guarded = [
        (CloneFlags::CLONE_NEWPID, Guard::PidNamespaceOfPool),
        (CloneFlags::CLONE_NEWNS, Guard::MountNamespaceOfPool),
        (CloneFlags::CLONE_NEWUTS, Guard::UtsNamespaceOfPool),
        (CloneFlags::CLONE_NEWIPC, Guard::IpcNamespaceOfPool),
        (CloneFlags::CLONE_NEWNET, Guard::NetworkNamespaceOfPool),
    ];
    let mut flags = namespaces::all();
    for (namespace, _) in guarded.into_iter().filter(|(_, guard)| !is_enabled(*guard)) {
        flags.remove(namespace);
    }
    flags.set(CloneFlags::CLONE_NEWUSER, rootless);
    flags
}

/// Unassigned user ids, a block for each pool.
struct UserBlocks(u32);

impl UserBlocks {
    const FIRST: u32 = 0x4000_0000;
    const COUNT: u32 = 1 << 10;

    /// Starts at a random block, so that concurrent instances rarely use the same ids.
    fn new() -> Result<Self, Errno> {
        random_u64().map(|number| Self(number as u32 % Self::COUNT))
    }

    fn first(&self) -> u32 {
        Self::FIRST + self.0 * USERS_PER_POOL
    }

    fn advance(&mut self) {
        self.0 = (self.0 + 1) % Self::COUNT;
    }
}
