//! Raw system calls.

use std::ffi::c_long;
use std::io;
use std::sync::atomic::AtomicU64;

/// The memory that all processes share can be read and written.
const ACCESS: i32 = libc::PROT_READ | libc::PROT_WRITE;
const FLAGS: i32 = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
/// The nanoseconds after which a call that waits is interrupted.
const INTERVAL: u64 = 50_000_000;

/// Makes any system call with any arguments. Returns its result or its error number.
#[allow(unsafe_code)]
pub(crate) fn call(number: c_long, arguments: [usize; 6]) -> Result<usize, i32> {
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: none, on purpose: a random call may change any memory of this process or end it. Whoever
    // starts this process expects that.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    usize::try_from(result).map_err(|_| io::Error::last_os_error().raw_os_error().unwrap_or(0))
}

/// Makes a system call by the entry for 32-bit programs. Most arguments are cut to what fits there.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
pub(crate) fn call_as_32_bit(number: u32, arguments: [usize; 6]) -> Result<usize, i32> {
    let [a, b, c, d, e, _] = arguments;
    let mut result = number as i32;
    // SAFETY: none, on purpose, as for `call`. All registers that the entry changes are named, and the
    // compiler's own is put back.
    unsafe {
        std::arch::asm!("xchg rbx, {a}", "int 0x80", "xchg rbx, {a}", a = inout(reg) a => _,
            inout("eax") result, in("ecx") b as u32, in("edx") c as u32, in("esi") d as u32,
            in("edi") e as u32, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
    }
    usize::try_from(result).map_err(|_| -result)
}

/// There is no such entry.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn call_as_32_bit(_: u32, _: [usize; 6]) -> Result<usize, i32> {
    Err(libc::ENOSYS)
}

/// Maps a page that processes started later share.
#[allow(unsafe_code)]
pub(crate) fn shared_page() -> Option<&'static [AtomicU64; 512]> {
    // SAFETY: asks for new memory at an address that the kernel chooses.
    let page = unsafe { libc::mmap(std::ptr::null_mut(), 4096, ACCESS, FLAGS, -1, 0) };
    if page == libc::MAP_FAILED {
        return None;
    }
    // SAFETY: the page has just been mapped and stays, and all that use it do so atomically.
    Some(unsafe { &*page.cast() })
}

/// Lets `SIGALRM` interrupt calls that wait, and has it sent to this thread again and again.
pub(crate) fn interrupt_regularly() {
    handle_alarms();
    // struct sigevent: a value, the signal, SIGEV_THREAD_ID, and the thread.
    let signal = libc::SIGALRM as u64 | (libc::SIGEV_THREAD_ID as u64) << 32;
    let event = [0, signal, thread_id(), 0, 0, 0, 0, 0];
    let mut timer = 0_u64;
    let (clock, event) = (libc::CLOCK_MONOTONIC as usize, event.as_ptr().addr());
    let timer_at = (&raw mut timer).addr();
    if call(libc::SYS_timer_create, [clock, event, timer_at, 0, 0, 0]).is_ok() {
        let each = [0, INTERVAL, 0, INTERVAL];
        let each = each.as_ptr().addr();
        let _ = call(libc::SYS_timer_settime, [timer as usize, 0, each, 0, 0, 0]);
    }
}

#[allow(unsafe_code)]
fn handle_alarms() {
    extern "C" fn nothing(_: i32) {}
    // SAFETY: the handler does nothing. All bytes zero is a valid sigaction: no flags and an empty mask.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as extern "C" fn(i32) as usize;
        libc::sigaction(libc::SIGALRM, &raw const action, std::ptr::null_mut());
    }
}

pub(crate) fn thread_id() -> u64 {
    call(libc::SYS_gettid, [0; 6]).unwrap_or(0) as u64
}

/// Forks. Returns whether this is the child.
pub(crate) fn fork() -> Result<bool, i32> {
    call(libc::SYS_clone, [libc::SIGCHLD as usize, 0, 0, 0, 0, 0]).map(|pid| pid == 0)
}

/// Ends this process with all its threads at once.
pub(crate) fn exit() -> ! {
    loop {
        let _ = call(libc::SYS_exit_group, [0; 6]);
    }
}

/// Blocks the signals of a set, and no others.
pub(crate) fn block_signals(set: u64) {
    let set = (&raw const set).addr();
    let _ = call(
        libc::SYS_rt_sigprocmask,
        [libc::SIG_SETMASK as usize, set, 0, 8, 0, 0],
    );
}

pub(crate) fn kill_all_others() {
    let all = -1_isize as usize;
    let _ = call(libc::SYS_kill, [all, libc::SIGKILL as usize, 0, 0, 0, 0]);
}

/// Reaps one process, waiting for it or not. `Ok(false)` if none has ended yet, an error if there is none.
pub(crate) fn reap(options: i32) -> Result<bool, i32> {
    let any = -1_isize as usize;
    let options = (options | libc::__WALL) as usize;
    call(libc::SYS_wait4, [any, 0, options, 0, 0, 0]).map(|pid| pid > 0)
}

pub(crate) fn close(descriptor: usize) {
    let _ = call(libc::SYS_close, [descriptor, 0, 0, 0, 0, 0]);
}
