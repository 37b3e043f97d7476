//! Raw system calls. A C library could be more careful than an attacker.

use std::ffi::{CStr, c_long};
use std::io;

/// Makes a system call. Arguments are numbers, or addresses of live values of the size that the call needs.
#[allow(unsafe_code)]
pub(crate) fn call(number: c_long, arguments: &[usize]) -> io::Result<usize> {
    let mut all = [0; 6];
    all[..arguments.len()].copy_from_slice(arguments);
    let [a, b, c, d, e, f] = all;
    // SAFETY: the callers pass numbers, or addresses of live values of the size that the call needs.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// Returns the address of a string.
pub(crate) fn text(text: &'static CStr) -> usize {
    text.as_ptr().addr()
}

/// Returns the address of a value.
pub(crate) fn at<T: ?Sized>(value: &mut T) -> usize {
    (&raw mut *value).addr()
}

/// Converts a number that may be negative to an argument.
pub(crate) fn number(value: i32) -> usize {
    value as isize as usize
}

/// Forks. Returns `true` in the child.
pub(crate) fn fork() -> io::Result<bool> {
    let flags = libc::SIGCHLD as usize;
    call(libc::SYS_clone, &[flags]).map(|pid| pid == 0)
}

/// Ends this process with all its threads at once.
pub(crate) fn exit() -> ! {
    loop {
        let _ = call(libc::SYS_exit_group, &[0]);
    }
}

/// Waits forever, regardless of signals.
pub(crate) fn wait_for_ever() -> ! {
    loop {
        std::thread::sleep(std::time::Duration::from_secs(1 << 20));
    }
}
