//! Reaping processes: how they ended and what they used.

use nix::errno::Errno;
use nix::unistd::Pid;

/// The status that `wait(2)` reports, in Linux's encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitStatus(pub i32);

impl WaitStatus {
    /// Returns the exit code, if the process exited by itself.
    #[must_use]
    pub fn code(self) -> Option<u8> {
        (self.0 & 0x7f == 0).then_some(((self.0 >> 8) & 0xff) as u8)
    }

    /// Returns the signal that killed the process, if one did.
    #[must_use]
    pub fn signal(self) -> Option<u8> {
        let signal = (self.0 & 0x7f) as u8;
        (signal != 0 && signal != 0x7f).then_some(signal)
    }
}

/// The resources that a process used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time in user mode, microseconds.
    pub user_micros: u64,
    /// CPU time in the kernel, microseconds.
    pub system_micros: u64,
    /// Largest resident set, bytes.
    pub max_resident_bytes: u64,
}

/// A process that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Reaped {
    /// The process.
    pub pid: Pid,
    /// How it ended.
    pub status: WaitStatus,
    /// What it and the processes that it waited for used.
    pub usage: Usage,
}

/// Reaps a child that has ended, without waiting. Returns `None` if there is none.
pub fn reap_any() -> Result<Option<Reaped>, Errno> {
    match wait4(-1, libc::WNOHANG) {
        Err(Errno::ECHILD) => Ok(None),
        other => other,
    }
}

/// Waits until a child has ended, and reaps it.
pub fn wait_for(pid: Pid) -> Result<Reaped, Errno> {
    loop {
        match wait4(pid.as_raw(), 0) {
            Err(Errno::EINTR) => {}
            Ok(None) => return Err(Errno::ECHILD),
            Ok(Some(reaped)) => return Ok(reaped),
            Err(errno) => return Err(errno),
        }
    }
}

fn wait4(pid: i32, options: i32) -> Result<Option<Reaped>, Errno> {
    let mut status = 0;
    // SAFETY: all bytes zero is a valid rusage, which is plain numbers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live variables of the types that the kernel writes.
    let result = unsafe { libc::wait4(pid, &mut status, options, &mut usage) };
    let pid = Errno::result(result)?;
    Ok((pid != 0).then(|| Reaped {
        pid: Pid::from_raw(pid),
        status: WaitStatus(status),
        usage: Usage {
            user_micros: micros(usage.ru_utime),
            system_micros: micros(usage.ru_stime),
            max_resident_bytes: usage.ru_maxrss as u64 * 1024,
        },
    }))
}

fn micros(time: libc::timeval) -> u64 {
    time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64
}
