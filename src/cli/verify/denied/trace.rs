//! Follows the processes of a sandbox with ptrace, and notes which system calls fail as a filter makes
//! them fail.

use std::collections::HashSet;
use std::fs;
use std::thread::JoinHandle;

use anyhow::{Context, anyhow, ensure};
use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;

use crate::soak;

/// Follows the children of this process, and all that they start from now on.
#[derive(Debug)]
pub struct Tracer(JoinHandle<anyhow::Result<Vec<u32>>>);

impl Tracer {
    /// Begins, and returns when nothing is missed any more.
    pub fn of_children() -> anyhow::Result<Self> {
        let children = descendants()?;
        let (started, is_started) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new().spawn(move || {
            let seized = children.iter().try_for_each(|pid| seize(*pid));
            let _ = started.send(());
            seized.context("its processes cannot be traced")?;
            Followed::new(children).follow()
        })?;
        is_started.recv().context("the tracer ended")?;
        Ok(Self(thread))
    }

    /// Waits until all processes have ended, and returns the numbers of the calls of programs that failed
    /// with `EPERM` or `ENOSYS`, in their order.
    pub fn failed_calls(self) -> anyhow::Result<Vec<u32>> {
        let ended = self.0.join();
        ended.map_err(|_| anyhow!("the tracer panicked"))?
    }
}

fn seize(pid: Pid) -> nix::Result<()> {
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEEXEC;
    ptrace::seize(pid, options)
}

/// Returns all threads of the processes that this one has started, and they, and so on.
fn descendants() -> anyhow::Result<Vec<Pid>> {
    let processes = soak::descendants(std::process::id());
    ensure!(
        !processes.is_empty(),
        "the processes of the service cannot be found"
    );
    let mut found = Vec::new();
    for process in processes {
        for entry in fs::read_dir(format!("/proc/{process}/task"))? {
            let name = entry?.file_name();
            found.push(Pid::from_raw(name.to_string_lossy().parse()?));
        }
    }
    Ok(found)
}

struct Followed {
    /// The first processes. Those that are children of this process are left for it to reap.
    first: Vec<Pid>,
    /// The processes and threads that have executed a program, or whose parents have.
    programs: HashSet<Pid>,
    failed: Vec<(Pid, u32)>,
}

impl Followed {
    fn new(first: Vec<Pid>) -> Self {
        Self {
            first,
            programs: HashSet::new(),
            failed: Vec::new(),
        }
    }

    /// Follows until the first processes have ended.
    fn follow(mut self) -> anyhow::Result<Vec<u32>> {
        let any = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
        let peek = any | WaitPidFlag::WEXITED | WaitPidFlag::WSTOPPED | WaitPidFlag::WNOWAIT;
        loop {
            match waitid(Id::All, peek) {
                Err(Errno::EINTR) => continue,
                Err(Errno::ECHILD) => break,
                status => {
                    let status = status.context("cannot wait for traced processes")?;
                    let Some(pid) = status.pid() else { continue };
                    if has_ended(status) && self.first.contains(&pid) {
                        break;
                    }
                    let _ = waitpid(pid, Some(any));
                    self.see(pid, status);
                }
            }
        }
        let of_programs = self
            .failed
            .iter()
            .filter(|(pid, _)| self.programs.contains(pid));
        Ok(of_programs.map(|(_, number)| *number).collect())
    }

    /// Notes what happened to a process and lets it go on. It may be dead by then, which is no error.
    fn see(&mut self, pid: Pid, status: WaitStatus) {
        let mut signal = None;
        match status {
            WaitStatus::PtraceSyscall(_) => self.failed.extend(failed_call(pid).map(|n| (pid, n))),
            WaitStatus::PtraceEvent(_, received, 0) => signal = Some(received),
            WaitStatus::PtraceEvent(_, _, event) => self.see_event(pid, event),
            WaitStatus::Stopped(_, received) => signal = Some(received),
            _ => return,
        }
        let _ = ptrace::syscall(pid, signal.filter(|signal| *signal != Signal::SIGTRAP));
    }

    fn see_event(&mut self, pid: Pid, event: i32) {
        const STARTED: [i32; 3] = [
            libc::PTRACE_EVENT_FORK,
            libc::PTRACE_EVENT_VFORK,
            libc::PTRACE_EVENT_CLONE,
        ];
        if event == libc::PTRACE_EVENT_EXEC {
            self.programs.insert(pid);
        } else if STARTED.contains(&event)
            && self.programs.contains(&pid)
            && let Ok(child) = ptrace::getevent(pid)
        {
            self.programs.insert(Pid::from_raw(child as i32));
        }
    }
}

fn has_ended(status: WaitStatus) -> bool {
    matches!(status, WaitStatus::Exited(..) | WaitStatus::Signaled(..))
}

/// Returns the number of the call that a process has just made, if it failed as a filter makes it fail.
fn failed_call(pid: Pid) -> Option<u32> {
    if ptrace::syscall_info(pid).ok()?.op != libc::PTRACE_SYSCALL_INFO_EXIT {
        return None;
    }
    let (number, result) = number_and_result(pid)?;
    let denied = [-i64::from(libc::EPERM), -i64::from(libc::ENOSYS)];
    denied
        .contains(&result)
        .then(|| u32::try_from(number).ok())?
}

#[cfg(target_arch = "x86_64")]
fn number_and_result(pid: Pid) -> Option<(u64, i64)> {
    let registers = ptrace::getregs(pid).ok()?;
    Some((registers.orig_rax, registers.rax.cast_signed()))
}

#[cfg(target_arch = "aarch64")]
fn number_and_result(pid: Pid) -> Option<(u64, i64)> {
    let registers = ptrace::getregset::<ptrace::regset::NT_PRSTATUS>(pid).ok()?;
    Some((registers.regs[8], registers.regs[0].cast_signed()))
}
