//! The holder: takes `Load` messages, makes a process for each pool, tells when a pool has ended.

use crate::isolate::{Place, may_make_namespaces};
use crate::pool::Plan;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getgid, getuid};
use roma_protocol::PoolId;
use roma_protocol::control::{FromRunWorkers, Hello, Load, MAX_MESSAGE_BYTES, ToRunWorkers};
use roma_sandbox::cgroup::Group;
use roma_sandbox::clone::{Forked, fork_into};
use roma_sandbox::fdpass::{self, Packet};
use roma_sandbox::gate::{Gate, random_u64};
use roma_sandbox::guard::{Guard, stands};
use roma_sandbox::step::{self, failure};
use roma_sandbox::step::{Step, StepFailure};
use roma_sandbox::wait::WaitStatus;
use roma_sandbox::{namespaces, signals, wait};
use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;
use std::time::Instant;

/// What became of the process that served.
pub(crate) enum Served {
    /// It has nothing more to do.
    Ended(ExitCode),
    /// It is a copy that is to be a pool. Everything of the holder's is closed.
    InPool(Box<Plan>),
}

/// Serves until the control connection ends.
pub(crate) fn serve(place: Place, started: Instant) -> Served {
    let control_copy = place.control.as_fd();
    match Holder::prepare(&place) {
        Err(failure) => Served::Ended(report_broken(control_copy, failure)),
        Ok(holder) => {
            let hello = Hello {
                rootless: place.rootless,
                isolated: place.isolated,
                start_nanos: started.elapsed().as_nanos() as u64,
            };
            holder.tell(FromRunWorkers::Hello(hello));
            holder.run()
        }
    }
}

/// Tells the host why this process cannot go on.
pub(crate) fn report_broken(control: BorrowedFd<'_>, failure: StepFailure) -> ExitCode {
    eprintln!("run_workers: {failure}");
    // The host may be gone; then nobody needs to know.
    let _ = fdpass::send(control, &FromRunWorkers::Broken(failure).encode(), &[]);
    ExitCode::FAILURE
}

struct Holder<'a> {
    place: &'a Place,
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
    BecomePool(Box<Plan>),
}

impl<'a> Holder<'a> {
    fn prepare(place: &'a Place) -> Result<Self, StepFailure> {
        Ok(Self {
            place,
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
                    Next::BecomePool(plan) => return Served::InPool(plan),
                }
            }
        }
    }

    /// Waits until a message has come or a child has ended.
    fn wait(&self) -> (bool, bool) {
        let mut watched = [
            PollFd::new(self.place.control.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.children.as_fd(), PollFlags::POLLIN),
        ];
        // An error here is an interruption: then nothing is ready, and we wait again.
        let _ = poll(&mut watched, PollTimeout::NONE);
        let ready = |at: usize| watched[at].any().unwrap_or(false);
        (ready(0), ready(1))
    }

    fn receive(&mut self) -> Next {
        let received = fdpass::receive(self.place.control.as_fd(), &mut self.buffer, Gate::NONE);
        let packet = match received {
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
                self.tell(FromRunWorkers::Pong);
                Next::Continue
            }
            Err(error) => {
                eprintln!("run_workers: malformed message: {error}");
                self.broken(Errno::EPROTO)
            }
        }
    }

    fn broken(&self, errno: Errno) -> Next {
        let failure = failure(Step::AcceptLoad, errno);
        Next::End(report_broken(self.place.control.as_fd(), failure))
    }

    fn load(&mut self, load: Load, descriptors: Vec<OwnedFd>) -> Next {
        let pool = load.pool;
        match self.fork_pool(load, descriptors) {
            Ok(next) => next,
            Err(failure) => {
                self.tell(FromRunWorkers::LoadRefused(pool, failure));
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
        let name = format!("{}{}", self.place.group_prefix, load.pool.0);
        let group = Group::create(&self.place.hierarchies, &name, &load.pool_limits);
        let rootless = !may_make_namespaces();
        let ids = rootless.then(|| (getuid().as_raw(), getgid().as_raw()));
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
            Ok(Forked::Child) => Ok(Next::BecomePool(Box::new(Plan {
                load,
                code,
                connections: connections.collect(),
                group,
                map_user: ids,
                first_user: self.users.first(),
                started,
            }))),
            Err(failure) => {
                // Nobody is in it yet.
                let _ = group.remove();
                Err(failure)
            }
        }
    }

    fn reap(&mut self) {
        signals::drain(self.children.as_fd());
        while let Ok(Some(reaped)) = wait::reap_any() {
            // Others are orphans of a pool, which process 1 of a PID namespace inherits.
            if let Some(pool) = self.pools.remove(&reaped.pid) {
                self.forget(&pool, reaped.status);
            }
        }
    }

    fn forget(&self, pool: &Pool, status: WaitStatus) {
        if let Err(errno) = pool.group.remove() {
            eprintln!("run_workers: {}: its control group stays: {errno}", pool.id);
        }
        self.tell(FromRunWorkers::PoolEnded(pool.id, status));
    }

    fn kill(&self, id: PoolId) {
        for (pid, _) in self.pools.iter().filter(|(_, pool)| pool.id == id) {
            // Not reaped yet, so the number is still its own.
            let _ = kill(*pid, Signal::SIGKILL);
        }
    }

    /// Kills every pool and waits until nothing of them is left.
    fn end(self, code: ExitCode) -> ExitCode {
        for pid in self.pools.keys() {
            // One that has ended already is not reaped yet, so the number is still its own.
            let _ = kill(*pid, Signal::SIGKILL);
        }
        for (pid, pool) in &self.pools {
            let _ = wait::wait_for(*pid);
            let _ = pool.group.remove();
        }
        code
    }

    fn tell(&self, message: FromRunWorkers) {
        // A host that is gone is seen by the next read.
        let _ = fdpass::send(self.place.control.as_fd(), &message.encode(), &[]);
    }
}

/// What a pool shares with no other pool.
fn namespaces_of_pool(rootless: bool) -> CloneFlags {
    let guarded = [
        (CloneFlags::CLONE_NEWPID, Guard::PidNamespaceOfPool),
        (CloneFlags::CLONE_NEWNS, Guard::MountNamespaceOfPool),
        (CloneFlags::CLONE_NEWUTS, Guard::UtsNamespaceOfPool),
        (CloneFlags::CLONE_NEWIPC, Guard::IpcNamespaceOfPool),
        (CloneFlags::CLONE_NEWNET, Guard::NetworkNamespaceOfPool),
    ];
    let mut flags = namespaces::all();
    for (namespace, _) in guarded.into_iter().filter(|(_, guard)| !stands(*guard)) {
        flags.remove(namespace);
    }
    flags.set(CloneFlags::CLONE_NEWUSER, rootless);
    flags
}

/// Numbers of users that belong to nobody, a block for each pool.
struct UserBlocks(u32);

impl UserBlocks {
    const FIRST: u32 = 0x4000_0000;
    const COUNT: u32 = 1 << 10;

    /// Starts anywhere, so that instances side by side hardly ever share numbers.
    fn new() -> Result<Self, Errno> {
        random_u64().map(|number| Self(number as u32 % Self::COUNT))
    }

    fn first(&self) -> u32 {
        Self::FIRST + self.0 * Plan::USERS
    }

    fn advance(&mut self) {
        self.0 = (self.0 + 1) % Self::COUNT;
    }
}
