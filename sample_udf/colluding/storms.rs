//! What a process can do too much of. Each trick goes on until it is ended.

use std::ffi::c_long;
use std::hint::black_box;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::AtomicU32;
use std::thread;
use std::time::Duration;

use roma_udf::Connection;

use crate::sys::{
    LIBRARY, NONE, PAGE, PROGRAM, at, call, close, close_all, exit, fcntl, fork, map, open, pipe,
    socket_pair, text, unmap,
};

/// A name, in how many processes it runs, and what they do.
type Storm = (&'static str, usize, fn(usize));

const STORMS: &[Storm] = &[
    ("exec_storm", 4, exec_storm),
    ("cache_of_library", 2, cache_of_library),
    ("full_pipes", 2, full_pipes),
    ("full_sockets", 2, full_sockets),
    ("descriptors_in_flight", 2, descriptors_in_flight),
    ("futexes", 2, futexes),
    ("maps_and_unmaps", 4, maps),
    ("protections", 4, protections),
    ("splitting_mappings", 2, splitting_mappings),
    ("epoll_of_epolls", 2, epolls),
    ("epoll_edges", 4, epoll_edges),
    ("log_flood", 2, log_flood),
    ("path_lookups", 4, path_lookups),
    ("random_bytes", 4, random_bytes),
    ("yields", 32, yields),
    ("spins", 32, spins),
    ("outlive", 2, outlive),
    ("barriers", 2, barriers),
    ("locks_of_file", 4, locks_of_file),
    ("drip_of_response", 1, drip_of_response),
    ("endless_response", 1, endless_response),
];

/// Does one thing at full tilt, in several processes at once. Returns only if there is no such thing.
pub(crate) fn rage(name: &str, connection: &Connection) {
    let data = connection.as_fd().as_raw_fd() as usize;
    if let Some((_, processes, run)) = STORMS.iter().find(|(known, ..)| *known == name) {
        let child = (1..*processes).any(|_| fork() == Ok(0));
        run(data);
        // Without the response, if this is a child.
        if child {
            exit();
        }
    }
}

fn for_ever(mut act: impl FnMut()) {
    loop {
        act();
    }
}

fn sleep_for_ever() {
    for_ever(|| thread::sleep(Duration::from_secs(1)));
}

/// Makes a system call whose result does not matter.
fn attempt(number: c_long, arguments: &[usize]) {
    let _ = call(number, arguments);
}

fn exec_storm(_: usize) {
    for_ever(|| {
        if fork() == Ok(0) {
            // Without a connection, the program ends at once.
            let (mut arguments, mut environment) = ([text(c"x"), 0], [0_usize]);
            let program = text(PROGRAM);
            attempt(
                libc::SYS_execve,
                &[program, at(&mut arguments), at(&mut environment)],
            );
            exit();
        }
        let wait = [NONE, 0, libc::WNOHANG as usize, 0];
        while call(libc::SYS_wait4, &wait).is_ok_and(|pid| pid > 0) {}
    });
}

fn cache_of_library(_: usize) {
    let file = open(LIBRARY, libc::O_RDONLY).unwrap_or(NONE);
    let mut bytes = [0_u8; 16 * PAGE];
    let forget = libc::POSIX_FADV_DONTNEED as usize;
    for_ever(|| {
        attempt(libc::SYS_pread64, &[file, at(&mut bytes), 16 * PAGE, 0]);
        attempt(libc::SYS_fadvise64, &[file, 0, 0, forget]);
    });
}

fn full_pipes(_: usize) {
    fill(1 << 20, || {
        let ends = pipe()?;
        let _ = fcntl(ends[1], libc::F_SETPIPE_SZ, 1 << 20);
        Ok(ends)
    });
}

fn full_sockets(_: usize) {
    fill(1 << 16, || {
        let ends = socket_pair()?;
        fcntl(ends[1], libc::F_SETFL, libc::O_NONBLOCK as usize)?;
        Ok(ends)
    });
}

/// Opens pairs, and writes to each until it is full.
fn fill(bytes: usize, open: fn() -> Result<[usize; 2], i32>) {
    /// Beyond this descriptor, each pair is closed again.
    const KEPT: usize = 200;
    let mut bytes = vec![1_u8; bytes];
    let write = [at(bytes.as_mut_slice()), bytes.len()];
    for_ever(|| {
        let Ok(ends) = open() else { return };
        while call(libc::SYS_write, &[ends[1], write[0], write[1]]).is_ok() {}
        if ends[1] > KEPT {
            close_all(ends);
        }
    });
}

/// Sends each pair of sockets over itself, so that the kernel has to find the loops.
fn descriptors_in_flight(_: usize) {
    const RIGHTS: u64 = libc::SOL_SOCKET as u64 | (libc::SCM_RIGHTS as u64) << 32;
    for_ever(|| {
        let Ok(ends) = socket_pair() else { return };
        let mut control = [24, RIGHTS, ends[0] as u64 | (ends[1] as u64) << 32];
        let mut byte = [0_u8; 1];
        let mut vector = [at(&mut byte), 1];
        let mut message = [0, 0, at(&mut vector), 1, at(&mut control), 24, 0];
        let now = libc::MSG_DONTWAIT as usize;
        attempt(libc::SYS_sendmsg, &[ends[1], at(&mut message), now]);
        close_all(ends);
    });
}

fn futexes(_: usize) {
    static WORD: AtomicU32 = AtomicU32::new(0);
    let word = (&raw const WORD).addr();
    for _ in 0..32 {
        let wait = [word, libc::FUTEX_WAIT as usize, 0, 0];
        let thread = thread::Builder::new().stack_size(16 << 10);
        let _ = thread.spawn(move || for_ever(|| attempt(libc::SYS_futex, &wait)));
    }
    let everyone = i32::MAX as usize;
    let wake = [word, libc::FUTEX_WAKE as usize, everyone];
    for_ever(|| attempt(libc::SYS_futex, &wake));
}

/// Maps memory that no other process has.
fn memory(bytes: usize, access: i32, flags: i32) -> Result<usize, i32> {
    let flags = flags | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    call(
        libc::SYS_mmap,
        &[0, bytes, access as usize, flags as usize, NONE, 0],
    )
}

const WRITABLE: i32 = libc::PROT_READ | libc::PROT_WRITE;

fn maps(_: usize) {
    for_ever(|| {
        if let Ok(pages) = memory(64 * PAGE, WRITABLE, libc::MAP_POPULATE) {
            unmap(pages, 64 * PAGE);
        }
        if let Ok(page) = map(PROGRAM, libc::MAP_SHARED) {
            unmap(page, PAGE);
        }
    });
}

fn protect(pages: usize, bytes: usize, access: i32) {
    attempt(libc::SYS_mprotect, &[pages, bytes, access as usize]);
}

fn protections(_: usize) {
    let pages = memory(64 * PAGE, WRITABLE, libc::MAP_POPULATE).unwrap_or(0);
    for_ever(|| {
        protect(pages, 64 * PAGE, libc::PROT_READ);
        protect(pages, 64 * PAGE, WRITABLE);
        // The kernel writes to each page.
        for page in 0..64 {
            attempt(libc::SYS_getrandom, &[pages + page * PAGE, 1, 0]);
        }
    });
}

/// As many mappings as a process may have.
fn splitting_mappings(_: usize) {
    const PAGES: usize = 65_000;
    let pages = memory(PAGES * PAGE, libc::PROT_READ, 0).unwrap_or(0);
    for_ever(|| {
        for page in (0..PAGES).step_by(2) {
            protect(pages + page * PAGE, PAGE, libc::PROT_NONE);
        }
        protect(pages, PAGES * PAGE, libc::PROT_READ);
    });
}

fn new_epoll() -> usize {
    call(libc::SYS_epoll_create1, &[0]).unwrap_or(NONE)
}

fn watch_by(epoll: usize, watched: usize, events: i32) {
    // struct epoll_event: the events, then any eight bytes.
    let mut event = [events, 0, 0];
    let add = libc::EPOLL_CTL_ADD as usize;
    attempt(libc::SYS_epoll_ctl, &[epoll, add, watched, at(&mut event)]);
}

/// Descriptors that watch descriptors that watch one event.
fn epolls(_: usize) {
    let event = call(libc::SYS_eventfd2, &[0, 0]).unwrap_or(NONE);
    let mut layer = vec![event];
    for _ in 0..4 {
        let next: Vec<_> = (0..24).map(|_| new_epoll()).collect();
        for (epoll, watched) in next
            .iter()
            .flat_map(|one| layer.iter().map(move |it| (one, it)))
        {
            watch_by(*epoll, *watched, libc::EPOLLIN);
        }
        layer = next;
    }
    for_ever(|| {
        attempt(libc::SYS_write, &[event, at(&mut [1_u64]), 8]);
        attempt(libc::SYS_read, &[event, at(&mut [0_u64]), 8]);
    });
}

fn epoll_edges(_: usize) {
    let epoll = new_epoll();
    let [output, input] = pipe().unwrap_or([NONE; 2]);
    watch_by(epoll, output, libc::EPOLLIN | libc::EPOLLET);
    let (mut byte, mut events) = ([1_u8], [0_u8; 64]);
    for_ever(|| {
        attempt(libc::SYS_write, &[input, at(&mut byte), 1]);
        attempt(libc::SYS_epoll_pwait, &[epoll, at(&mut events), 4, 0, 0, 8]);
        attempt(libc::SYS_read, &[output, at(&mut byte), 1]);
    });
}

fn log_flood(_: usize) {
    let mut line = [b'x'; 4096];
    line[4095] = b'\n';
    for_ever(|| {
        attempt(libc::SYS_write, &[1, at(&mut line), 4096]);
        attempt(libc::SYS_write, &[2, at(&mut line), 4096]);
    });
}

fn path_lookups(_: usize) {
    for_ever(|| {
        let _ = open(c"/a/../b/./../udf/../../../../nothing", libc::O_RDONLY);
        let _ = open(PROGRAM, libc::O_RDONLY).map(close);
    });
}

fn random_bytes(_: usize) {
    let mut bytes = vec![0_u8; 1 << 20];
    let [start, length] = [at(bytes.as_mut_slice()), bytes.len()];
    for_ever(|| attempt(libc::SYS_getrandom, &[start, length, 0]));
}

fn yields(_: usize) {
    for_ever(|| attempt(libc::SYS_sched_yield, &[]));
}

fn spins(_: usize) {
    for_ever(|| _ = black_box(0));
}

/// Ignores whatever can be ignored, and leaves its session if it can.
fn outlive(_: usize) {
    for signal in 1..65 {
        // struct sigaction of the kernel, with SIG_IGN.
        let mut action = [1_u64, 0, 0, 0];
        attempt(libc::SYS_rt_sigaction, &[signal, at(&mut action), 0, 8]);
    }
    for _ in 0..8 {
        if fork() == Ok(0) {
            attempt(libc::SYS_setsid, &[]);
            break;
        }
    }
    sleep_for_ever();
}

fn barriers(_: usize) {
    /// Waits for all processors.
    const GLOBAL: usize = 1;
    for_ever(|| attempt(libc::SYS_membarrier, &[GLOBAL, 0, 0]));
}

fn locks_of_file(_: usize) {
    let file = open(PROGRAM, libc::O_RDONLY).unwrap_or(NONE);
    for_ever(|| {
        for byte in 0..2000 {
            let mut lock = [i64::from(libc::F_RDLCK), byte * 2, 1, 0];
            let _ = fcntl(file, libc::F_SETLK, at(&mut lock));
        }
    });
}

/// Writes a response byte after byte, and never all of it.
fn drip_of_response(data: usize) {
    // A length of 1 MiB.
    attempt(libc::SYS_write, &[data, at(&mut [0x80_u8, 0x80, 0x40]), 3]);
    for_ever(|| {
        attempt(libc::SYS_write, &[data, at(&mut [b'x']), 1]);
        thread::sleep(Duration::from_millis(10));
    });
}

/// Writes almost as much as a response may have, as fast as it can, and never the end.
fn endless_response(data: usize) {
    // A length of almost 64 MiB.
    attempt(
        libc::SYS_write,
        &[data, at(&mut [0xff_u8, 0xff, 0xff, 0x1f]), 4],
    );
    let mut bytes = vec![b'x'; 1 << 20];
    let [start, length] = [at(bytes.as_mut_slice()), bytes.len()];
    for _ in 0..63 {
        attempt(libc::SYS_write, &[data, start, length]);
    }
    sleep_for_ever();
}
