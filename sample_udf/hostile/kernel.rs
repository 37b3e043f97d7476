//! Asking the kernel, with no C library in between that could be more careful than an attacker.

use std::ffi::{CStr, c_long};
use std::io;

/// A system call. Arguments are numbers, or addresses of values that the caller keeps alive and that
/// are as large as the call needs.
#[allow(unsafe_code)]
pub(crate) fn call(number: c_long, arguments: &[usize]) -> io::Result<usize> {
    let mut all = [0; 6];
    all[..arguments.len()].copy_from_slice(arguments);
    let [a, b, c, d, e, f] = all;
    // SAFETY: the callers pass numbers, or addresses of live values of the size that the call needs.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// The address of a string.
pub(crate) fn text(text: &'static CStr) -> usize {
    text.as_ptr().addr()
}

/// The address of a value.
pub(crate) fn at<T: ?Sized>(value: &mut T) -> usize {
    (&raw mut *value).addr()
}

/// A number that may be negative, as the kernel takes it.
pub(crate) fn number(value: i32) -> usize {
    value as isize as usize
}

/// Forks. `true` in the child.
pub(crate) fn fork() -> io::Result<bool> {
    let flags = libc::SIGCHLD as usize;
    call(libc::SYS_clone, &[flags]).map(|pid| pid == 0)
}

/// Ends this process at once, with its threads.
pub(crate) fn exit() -> ! {
    loop {
        let _ = call(libc::SYS_exit_group, &[0]);
    }
}

/// Waits for ever, whatever signals come.
pub(crate) fn wait_for_ever() -> ! {
    loop {
        std::thread::sleep(std::time::Duration::from_secs(1 << 20));
    }
}
