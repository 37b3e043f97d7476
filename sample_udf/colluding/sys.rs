//! System calls as they are, and what tricks are made of.

use std::ffi::{CStr, c_long};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;
use std::time::Duration;

/// A result, or the number of an error.
pub(crate) type Fate<T> = Result<T, i32>;
/// Puts a bit into a channel.
pub(crate) type Tell = Box<dyn FnMut(bool) -> Fate<()>>;
/// Returns what a channel shows now.
pub(crate) type Hear = Box<dyn FnMut() -> Fate<i64>>;
/// A way by which one process might tell something to another: its name, and how both ends are opened.
pub(crate) type Trick = (&'static str, fn() -> Fate<Tell>, fn() -> Fate<Hear>);

/// The program, which all processes of a code run.
pub(crate) const PROGRAM: &CStr = c"/udf";
/// A file of a library folder, which all codes have.
pub(crate) const LIBRARY: &CStr = c"/shared/library";
pub(crate) const PAGE: usize = 4096;
/// A descriptor that does not exist.
pub(crate) const NONE: usize = usize::MAX;

/// Makes a system call. Arguments are numbers, or addresses of live values of the size that the call needs.
#[allow(unsafe_code)]
pub(crate) fn call(number: c_long, arguments: &[usize]) -> Fate<usize> {
    let mut all = [0; 6];
    all[..arguments.len()].copy_from_slice(arguments);
    let [a, b, c, d, e, f] = all;
    // SAFETY: the callers pass numbers, or addresses of live values of the size that the call needs.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    let error = || std::io::Error::last_os_error().raw_os_error().unwrap_or(0);
    usize::try_from(result).map_err(|_| error())
}

/// Returns the address of a value that a system call reads or writes.
pub(crate) fn at<T: ?Sized>(value: &mut T) -> usize {
    (&raw mut *value).addr()
}

pub(crate) fn text(text: &'static CStr) -> usize {
    text.as_ptr().addr()
}

pub(crate) fn open(path: &'static CStr, flags: i32) -> Fate<usize> {
    let folder = libc::AT_FDCWD as usize;
    call(
        libc::SYS_openat,
        &[folder, text(path), flags as usize, 0o600],
    )
}

pub(crate) fn close(fd: usize) {
    let _ = call(libc::SYS_close, &[fd]);
}

pub(crate) fn close_all(fds: [usize; 2]) {
    fds.into_iter().for_each(close);
}

pub(crate) fn fcntl(fd: usize, command: i32, argument: usize) -> Fate<usize> {
    call(libc::SYS_fcntl, &[fd, command as usize, argument])
}

pub(crate) fn pipe() -> Fate<[usize; 2]> {
    let mut ends = [0_i32; 2];
    call(libc::SYS_pipe2, &[at(&mut ends), libc::O_NONBLOCK as usize])?;
    Ok(ends.map(|end| end as usize))
}

pub(crate) fn socket_pair() -> Fate<[usize; 2]> {
    let mut ends = [0_i32; 2];
    let [domain, kind] = [libc::AF_UNIX as usize, libc::SOCK_STREAM as usize];
    call(libc::SYS_socketpair, &[domain, kind, 0, at(&mut ends)])?;
    Ok(ends.map(|end| end as usize))
}

pub(crate) fn memory_file() -> Fate<usize> {
    call(libc::SYS_memfd_create, &[text(c"m"), 0])
}

/// Maps the first page of a file, to read.
pub(crate) fn map(path: &'static CStr, kind: i32) -> Fate<usize> {
    let file = open(path, libc::O_RDONLY)?;
    let access = libc::PROT_READ as usize;
    let page = call(libc::SYS_mmap, &[0, PAGE, access, kind as usize, file, 0]);
    close(file);
    page
}

pub(crate) fn unmap(address: usize, bytes: usize) {
    let _ = call(libc::SYS_munmap, &[address, bytes]);
}

/// Starts a process like this one. Returns 0 in it.
pub(crate) fn fork() -> Fate<usize> {
    call(libc::SYS_clone, &[libc::SIGCHLD as usize, 0, 0, 0, 0])
}

pub(crate) fn exit() -> ! {
    loop {
        let _ = call(libc::SYS_exit_group, &[0]);
    }
}

/// Ends a child process and waits for it.
pub(crate) fn end_child(pid: usize) {
    let _ = call(libc::SYS_kill, &[pid, libc::SIGKILL as usize]);
    let _ = call(libc::SYS_wait4, &[pid, 0, 0, 0]);
}

/// A signal that is sent to a group.
pub(crate) const GROUP_SIGNAL: i32 = libc::SIGUSR1;
/// A signal that tells of an open file.
pub(crate) const FILE_SIGNAL: i32 = 40;
/// A signal that is sent again and again, to fill the queue.
pub(crate) const QUEUED_SIGNAL: i32 = 41;

/// Blocks the signals of some tricks: they wait until they are taken. Before any thread exists.
pub(crate) fn block_signals() {
    let signals = [GROUP_SIGNAL, FILE_SIGNAL, QUEUED_SIGNAL];
    let mut set = signals.iter().fold(0, |set, signal| set | set_of(*signal));
    let block = libc::SIG_BLOCK as usize;
    let _ = call(libc::SYS_rt_sigprocmask, &[block, at(&mut set), 0, 8]);
}

fn set_of(signal: i32) -> u64 {
    1 << (signal - 1)
}

/// Takes a blocked signal, if there is one.
pub(crate) fn take_signal(signal: i32) -> bool {
    let (mut set, mut no_time) = (set_of(signal), [0_u64; 2]);
    let arguments = [at(&mut set), 0, at(&mut no_time), 8];
    call(libc::SYS_rt_sigtimedwait, &arguments).is_ok()
}

/// Counts the blocked signals that arrive.
pub(crate) fn hear_signal(signal: i32) -> Fate<Hear> {
    let mut signals = 0;
    Ok(Box::new(move || {
        while take_signal(signal) {
            signals += 1;
        }
        Ok(signals)
    }))
}

/// Waits for an event again and again in a thread of its own, and tells how often it came.
pub(crate) fn count(mut event: impl FnMut() -> Fate<usize> + Send + 'static) -> Fate<Hear> {
    let counter = Arc::new(AtomicI64::new(0));
    let counted = Arc::clone(&counter);
    let thread = thread::Builder::new().stack_size(64 << 10).spawn(move || {
        loop {
            match event() {
                Ok(_) => _ = counted.fetch_add(1, Ordering::Relaxed),
                Err(_) => thread::sleep(Duration::from_millis(1)),
            }
        }
    });
    thread.map_err(|error| error.raw_os_error().unwrap_or(0))?;
    Ok(Box::new(move || Ok(counter.load(Ordering::Relaxed))))
}

/// Has a thing while the bit is one.
pub(crate) fn tell_by_having(take: fn() -> Fate<usize>) -> Fate<Tell> {
    close(take()?);
    let mut taken = None;
    Ok(Box::new(move |bit| {
        match (bit, taken) {
            (true, None) => taken = Some(take()?),
            (false, Some(one)) => {
                close(one);
                taken = None;
            }
            _ => {}
        }
        Ok(())
    }))
}

/// Does something once if the bit is one.
pub(crate) fn tell_by_doing(mut act: impl FnMut() -> Fate<usize> + 'static) -> Fate<Tell> {
    Ok(Box::new(move |bit| match bit {
        true => act().map(drop),
        false => Ok(()),
    }))
}

/// Tries to take a thing, and tells whether another has it.
pub(crate) fn hear_by_taking(take: fn() -> Fate<usize>, taken: i32) -> Fate<Hear> {
    Ok(Box::new(move || match take() {
        Ok(one) => {
            close(one);
            Ok(0)
        }
        Err(errno) if errno == taken => Ok(1),
        Err(errno) => Err(errno),
    }))
}
