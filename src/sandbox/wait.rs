//! Reaping, with what the process used.

use nix::errno::Errno;
use nix::unistd::Pid;
use roma_protocol::spawner::{Usage, WaitStatus};

/// A process that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Reaped {
    /// Which one.
    pub pid: Pid,
    /// How.
    pub status: WaitStatus,
    /// What it, and those that it waited for, used.
    pub usage: Usage,
}

/// Reaps any child that has ended, without waiting. `None` where none has, or none is left.
pub fn reap_any() -> Result<Option<Reaped>, Errno> {
    match wait4(-1, libc::WNOHANG) {
        Err(Errno::ECHILD) => Ok(None),
        other => other,
    }
}

/// Waits for one child.
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
