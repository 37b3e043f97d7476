//! Starting a worker: one clone into fresh namespaces, a few calls, `execve`.
//!
//! The child shares the spawner's memory (`CLONE_VM`) while the spawner waits (`CLONE_VFORK`), so no
//! page table is copied and the child reports through plain memory. In return the child must not
//! allocate, lock or unwind: it makes system calls and nothing else.

use std::cell::UnsafeCell;
use std::ffi::{CStr, CString, c_char, c_int, c_ulong, c_void};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::ptr::{null, null_mut};

use nix::errno::Errno;
use nix::unistd::Pid;

use crate::gate::Gate;
use crate::guard::{Guard, is_enabled};
use crate::name::ExecutionName;
use crate::rlimits::Limit;
use crate::step::{self, Step, StepFailure};
use crate::wait::wait_for;

/// Path of the binary in a worker's root.
pub const PROGRAM: &CStr = c"/udf";
/// The descriptor of the data connection, which is also `argv[1]`.
pub const DATA_FD: RawFd = 3;
/// The descriptor of the host function connection.
pub const HOST_FUNCTIONS_FD: RawFd = 4;

const STACK_BYTES: usize = 64 * 1024;
const PAGE_BYTES: usize = 4096;

/// How long the start of a worker took, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StartTimes {
    /// From the receipt of `Spawn` to the first instruction of the new process.
    pub clone_nanos: u32,
    /// From there to `execve`: descriptors, limits, mounts.
    pub setup_nanos: u32,
    /// `execve` itself, until the spawner resumes.
    pub exec_nanos: u32,
}

/// What is the same for every worker of a pool.
#[derive(Debug, Default)]
pub struct Template {
    /// `argv[2]` and so on.
    pub arguments: Vec<CString>,
    /// `NAME=value` each.
    pub environment: Vec<CString>,
    /// Give each worker its own IPC namespace.
    pub private_ipc: bool,
    /// Give each worker its own network namespace. Needed if no filter denies sockets: otherwise the
    /// workers of a pool could connect over its loopback device.
    pub private_network: bool,
    /// Give each worker an empty session keyring of its own. Needed if no filter denies keys: whoever has a
    /// keyring can read the keys in it, and leave some there.
    pub private_keys: bool,
    /// Mount `/proc` with these options ([`crate::mounts::proc_options`]).
    pub proc_options: Option<CString>,
    /// Mount `/tmp` with these options ([`crate::mounts::tmp_options`]).
    pub tmp_options: Option<CString>,
    /// Limits to set in each worker.
    pub limits: Vec<Limit>,
}

/// What differs from worker to worker.
#[derive(Debug)]
pub struct Worker<'a> {
    /// `argv[0]`.
    pub name: ExecutionName,
    /// The user that the spawner changes to before it clones, if any.
    pub user: Option<u32>,
    /// The folder that becomes its root.
    pub root: &'a CStr,
    /// Becomes descriptor 3.
    pub data: BorrowedFd<'a>,
    /// Becomes descriptors 1 and 2.
    pub log: BorrowedFd<'a>,
    /// Becomes descriptor 4.
    pub host_functions: Option<BorrowedFd<'a>>,
}

/// Starts workers, one at a time.
#[derive(Debug)]
pub struct Launcher {
    gate: Gate,
    /// The user of this process, if it has changed to that of a worker.
    user: Option<u32>,
    /// The working directory of this process, if it is the root of a worker.
    root: Option<CString>,
    stack: ChildStack,
    flags: c_int,
    name: [u8; ExecutionName::TEXT_BYTES + 1],
    arguments: Vec<*const c_char>,
    environment: Vec<*const c_char>,
    template: Template,
}

impl Launcher {
    /// Creates a launcher for a process that is single-threaded, has a sealed root, and has every
    /// descriptor below [`crate::descriptors::FIRST_FREE`] filled with `/dev/null`.
    pub fn new(template: Template, gate: Gate) -> Result<Self, Errno> {
        let pointers = |strings: &[CString]| -> Vec<*const c_char> {
            strings
                .iter()
                .map(|string| string.as_ptr())
                .chain([null()])
                .collect()
        };
        let mut arguments = vec![null(), c"3".as_ptr()];
        arguments.extend(pointers(&template.arguments));
        Ok(Self {
            gate,
            user: None,
            root: None,
            stack: ChildStack::new()?,
            flags: namespace_flags(&template),
            name: [0; ExecutionName::TEXT_BYTES + 1],
            arguments,
            environment: pointers(&template.environment),
            template,
        })
    }

    /// Starts a worker. When this returns, its program is running or the worker does not exist.
    pub fn start(&mut self, worker: &Worker<'_>) -> Result<(Pid, StartTimes), StepFailure> {
        let begun = now();
        // Users and roots are reused last in, first out: most of the time this process already has the
        // right ones.
        if worker.user != self.user {
            step::run(Step::SetUser, || self.become_user(worker.user))?;
        }
        if self.root.as_deref() != Some(worker.root) {
            step::run(Step::EnterRoot, || self.enter_root(worker.root))?;
        }
        self.name[..ExecutionName::TEXT_BYTES].copy_from_slice(&worker.name.text());
        self.arguments[0] = self.name.as_ptr().cast();
        let attempt = Attempt {
            launcher: self,
            worker,
            outcome: UnsafeCell::new(Outcome {
                cloned: 0,
                executing: 0,
                failure: None,
            }),
        };
        let pid = step::run(Step::Clone, || attempt.clone_child())?;
        let ended = now();
        let outcome = attempt.outcome.into_inner();
        if let Some(failure) = outcome.failure {
            // It has already exited. The result of the wait does not matter.
            let _ = wait_for(pid);
            return Err(failure);
        }
        Ok((
            pid,
            StartTimes {
                clone_nanos: nanos(begun, outcome.cloned),
                setup_nanos: nanos(outcome.cloned, outcome.executing),
                exec_nanos: nanos(outcome.executing, ended),
            },
        ))
    }
}

impl Launcher {
    fn become_user(&mut self, user: Option<u32>) -> Result<(), Errno> {
        let number = user.ok_or(Errno::EINVAL)?;
        let secret = self.gate.secret();
        // SAFETY: takes numbers only. The raw call changes this thread, and there is no other.
        let result =
            unsafe { libc::syscall(libc::SYS_setresuid, number, number, number, 0, 0, secret) };
        Errno::result(result)?;
        self.user = user;
        Ok(())
    }

    fn enter_root(&mut self, root: &CStr) -> Result<(), Errno> {
        self.root = None;
        nix::unistd::chdir(root)?;
        self.root = Some(root.to_owned());
        Ok(())
    }
}

/// One start, on the spawner's stack: read by both processes, written by the child.
struct Attempt<'a> {
    launcher: &'a Launcher,
    worker: &'a Worker<'a>,
    outcome: UnsafeCell<Outcome>,
}

struct Outcome {
    cloned: u64,
    executing: u64,
    failure: Option<StepFailure>,
}

impl Attempt<'_> {
    fn clone_child(&self) -> Result<Pid, Errno> {
        let secret = self.launcher.gate.secret() as *mut c_void;
        let argument = (&raw const *self).cast_mut().cast::<c_void>();
        // SAFETY: the stack is ours, big enough for `child` and used by nothing else while the child
        // runs on it. CLONE_VFORK suspends this process until the child has executed a program or
        // exited, so `self` outlives the child's use of it and nothing else accesses it meanwhile.
        // Without CLONE_SETTLS and the TID flags the kernel ignores the last three.
        let result = unsafe {
            libc::clone(
                child,
                self.launcher.stack.top(),
                self.launcher.flags,
                argument,
                null_mut::<c_void>(),
                secret,
                null_mut::<c_void>(),
            )
        };
        Errno::result(result).map(Pid::from_raw)
    }

    /// Runs in the child. Returns only on failure.
    fn become_worker(&self) -> StepFailure {
        match self.prepare() {
            Err(failure) => failure,
            Ok(()) => {
                self.with_outcome(|outcome| outcome.executing = now());
                match step::run(Step::Exec, || self.execute()) {
                    Err(failure) => failure,
                    // Not reached: execve does not return on success.
                    Ok(()) => StepFailure::new(Step::Exec, Errno::ENOEXEC),
                }
            }
        }
    }

    fn prepare(&self) -> Result<(), StepFailure> {
        let launcher = self.launcher;
        let gate = launcher.gate;
        step::run(Step::DeathSignal, || {
            if is_enabled(Guard::DeathSignal) {
                die_with_spawner()?;
            }
            if is_enabled(Guard::ProcessGroup) {
                leave_process_group(gate)?;
            }
            if launcher.template.private_keys && is_enabled(Guard::SessionKeyring) {
                leave_session_keyring()?;
            }
            unblock_signals()
        })?;
        step::run(Step::PlaceDescriptors, || self.place_descriptors())?;
        if is_enabled(Guard::ClosedDescriptors) {
            step::run(Step::CloseDescriptors, || close_from(self.first_closed()))?;
        }
        if let Some(options) = &launcher.template.tmp_options {
            step::run(Step::MountTmp, || {
                mount_private(c"tmpfs", c"tmp", TMP_FLAGS, options, gate)
            })?;
        }
        if let Some(options) = &launcher.template.proc_options {
            step::run(Step::MountProc, || {
                mount_private(c"proc", c"proc", PROC_FLAGS, options, gate)
            })?;
        }
        if mounts_anything(&launcher.template) && is_enabled(Guard::UserNamespace) {
            step::run(Step::UnshareUser, || unshare_user(gate))?;
        }
        step::run(Step::ChangeRoot, || stay_below_working_directory(gate))?;
        step::run(Step::SetWorkerLimits, || {
            launcher
                .template
                .limits
                .iter()
                .try_for_each(|limit| limit.set())
        })
    }

    fn place_descriptors(&self) -> Result<(), Errno> {
        let gate = self.launcher.gate;
        make_input()?;
        place(self.worker.data, DATA_FD, gate)?;
        place(self.worker.log, 1, gate)?;
        place(self.worker.log, 2, gate)?;
        match self.worker.host_functions {
            Some(fd) => place(fd, HOST_FUNCTIONS_FD, gate),
            None => Ok(()),
        }
    }

    fn first_closed(&self) -> RawFd {
        if self.worker.host_functions.is_some() {
            HOST_FUNCTIONS_FD + 1
        } else {
            DATA_FD + 1
        }
    }

    fn execute(&self) -> Result<(), Errno> {
        // SAFETY: both lists end with a null pointer, and the strings that they point to are owned by
        // the launcher, which outlives the call.
        let result = unsafe {
            libc::execve(
                PROGRAM.as_ptr(),
                self.launcher.arguments.as_ptr(),
                self.launcher.environment.as_ptr(),
            )
        };
        Errno::result(result).map(drop)
    }

    fn with_outcome(&self, change: impl FnOnce(&mut Outcome)) {
        // SAFETY: only the child writes, while the spawner is suspended; the spawner reads afterwards.
        // The reference does not outlive this call.
        change(unsafe { &mut *self.outcome.get() });
    }
}

/// The child's first function, on its own stack.
extern "C" fn child(argument: *mut c_void) -> c_int {
    // SAFETY: `clone_child` passes a pointer to an `Attempt` that outlives the child's use of it.
    let attempt = unsafe { &*argument.cast::<Attempt<'_>>() };
    attempt.with_outcome(|outcome| outcome.cloned = now());
    let failure = attempt.become_worker();
    attempt.with_outcome(|outcome| outcome.failure = Some(failure));
    // SAFETY: ends this process without running code of the spawner, whose memory it shares.
    unsafe { libc::_exit(127) }
}

const TMP_FLAGS: c_ulong = libc::MS_NOSUID | libc::MS_NODEV;
const PROC_FLAGS: c_ulong = libc::MS_RDONLY | libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;

fn mounts_anything(template: &Template) -> bool {
    template.proc_options.is_some() || template.tmp_options.is_some()
}

fn namespace_flags(template: &Template) -> c_int {
    let mut flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    let namespaces = [
        (libc::CLONE_NEWPID, Guard::PidNamespace, true),
        (libc::CLONE_NEWNS, Guard::MountNamespace, true),
        (libc::CLONE_NEWUTS, Guard::UtsNamespace, true),
        (
            libc::CLONE_NEWIPC,
            Guard::IpcNamespace,
            template.private_ipc,
        ),
        (
            libc::CLONE_NEWNET,
            Guard::NetworkNamespace,
            template.private_network,
        ),
        // A worker that mounts needs the spawner's capabilities first and enters its own after that.
        (
            libc::CLONE_NEWUSER,
            Guard::UserNamespace,
            !mounts_anything(template),
        ),
    ];
    for (flag, guard, wanted) in namespaces {
        if wanted && is_enabled(guard) {
            flags |= flag;
        }
    }
    flags
}

fn die_with_spawner() -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as c_ulong, 0, 0, 0) })
        .map(drop)
}

/// Makes a process group of its own. Its members reach each other by signals and priorities, whatever PID
/// namespace they are in.
fn leave_process_group(gate: Gate) -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    let result = unsafe { libc::syscall(libc::SYS_setpgid, 0, 0, 0, 0, 0, gate.secret()) };
    Errno::result(result).map(drop)
}

/// Leaves the keyring of the session in which the service was started.
fn leave_session_keyring() -> Result<(), Errno> {
    const JOIN_NEW: c_int = 1;
    // SAFETY: without a name it takes numbers only.
    let result = unsafe { libc::syscall(libc::SYS_keyctl, JOIN_NEW, 0) };
    match Errno::result(result) {
        // A kernel without keys, or a filter around this process, which the program has as well.
        Err(Errno::ENOSYS | Errno::EPERM | Errno::EACCES | Errno::EOPNOTSUPP) => Ok(()),
        other => other.map(drop),
    }
}

fn unblock_signals() -> Result<(), Errno> {
    let none = 0u64;
    // SAFETY: the kernel reads eight bytes, a signal set, through a pointer to a live number. The
    // spawner blocks a signal; a program must not inherit that.
    let result = unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const none,
            0,
            8,
        )
    };
    Errno::result(result).map(drop)
}

/// Makes descriptor 0 the read end of a pipe that no process writes to. If it were the null device, all
/// workers would share one open file, whose flags could carry messages. The other end of the pipe gets
/// the next free number, beyond those that stay open.
fn make_input() -> Result<(), Errno> {
    let mut ends = [0; 2];
    // SAFETY: in this process, whose table of descriptors is its own, nothing owns descriptor 0; the
    // kernel writes two numbers to live memory.
    let result = unsafe {
        libc::syscall(libc::SYS_close, 0);
        libc::syscall(libc::SYS_pipe2, ends.as_mut_ptr(), 0)
    };
    Errno::result(result)?;
    match ends {
        [0, _] => Ok(()),
        _ => Err(Errno::EBADF),
    }
}

fn place(from: BorrowedFd<'_>, to: RawFd, gate: Gate) -> Result<(), Errno> {
    // SAFETY: takes numbers only. In a spawner nothing owns the numbers below FIRST_FREE.
    let result =
        unsafe { libc::syscall(libc::SYS_dup3, from.as_raw_fd(), to, 0, 0, 0, gate.secret()) };
    Errno::result(result).map(drop)
}

fn close_from(first: RawFd) -> Result<(), Errno> {
    // SAFETY: takes numbers only. The child has its own table of descriptors: the spawner's stay.
    Errno::result(unsafe { libc::syscall(libc::SYS_close_range, first, i32::MAX, 0) }).map(drop)
}

fn mount_private(
    kind: &CStr,
    target: &CStr,
    flags: c_ulong,
    options: &CStr,
    gate: Gate,
) -> Result<(), Errno> {
    // SAFETY: all pointers are to C strings that outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount,
            c"roma".as_ptr(),
            target.as_ptr(),
            kind.as_ptr(),
            flags,
            options.as_ptr(),
            gate.secret(),
        )
    };
    Errno::result(result).map(drop)
}

fn unshare_user(gate: Gate) -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    let result = unsafe {
        libc::syscall(
            libc::SYS_unshare,
            libc::CLONE_NEWUSER,
            0,
            0,
            0,
            0,
            gate.secret(),
        )
    };
    Errno::result(result).map(drop)
}

/// Makes the working directory, which the spawner has chosen, the root. A user namespace of its own gives
/// the worker the capability for it, and executing its program takes that away.
fn stay_below_working_directory(gate: Gate) -> Result<(), Errno> {
    // SAFETY: the pointer is to a static string.
    let result =
        unsafe { libc::syscall(libc::SYS_chroot, c".".as_ptr(), 0, 0, 0, 0, gate.secret()) };
    Errno::result(result).map(drop)
}

fn now() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a live timespec; the clock exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn nanos(from: u64, to: u64) -> u32 {
    u32::try_from(to.saturating_sub(from)).unwrap_or(u32::MAX)
}

/// The child's stack until it executes its program. An overflow hits a guard page.
#[derive(Debug)]
struct ChildStack {
    base: *mut c_void,
}

impl ChildStack {
    fn new() -> Result<Self, Errno> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: asks for new memory at an address that the kernel chooses.
        let base = unsafe { libc::mmap(null_mut(), STACK_BYTES, protection, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        let stack = Self { base };
        // SAFETY: the page lies in the memory just mapped, which nothing uses yet.
        Errno::result(unsafe { libc::mprotect(base, PAGE_BYTES, libc::PROT_NONE) })?;
        Ok(stack)
    }

    fn top(&self) -> *mut c_void {
        // SAFETY: one past the end of the mapping, where a stack that grows down starts. It is
        // page-aligned, as both architectures require at least.
        unsafe { self.base.byte_add(STACK_BYTES) }
    }
}

impl Drop for ChildStack {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this size, and no child runs on it outside `Launcher::start`.
        unsafe { libc::munmap(self.base, STACK_BYTES) };
    }
}
