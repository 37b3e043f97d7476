//! Channels through what a kernel grants to all processes of a user together.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::sys::{
    Fate, Hear, QUEUED_SIGNAL, Tell, Trick, at, call, close, close_all, fcntl, pipe, socket_pair,
    take_signal, text,
};

pub(crate) const TRICKS: &[Trick] = &[
    (
        "timers",
        || tell_budget(timer, delete_timer, 400),
        || hear_budget(timer, delete_timer),
    ),
    // A queued signal takes from the same budget as a timer.
    ("queued_signals", tell_signals, || {
        hear_budget(timer, delete_timer)
    }),
    (
        "pages_of_pipes",
        || tell_budget(large_pipe, close_both, 80),
        || Ok(Box::new(size_of_new_pipe)),
    ),
    (
        "bytes_of_queues",
        || tell_budget(queue, close, 100),
        || hear_budget(queue, close),
    ),
    (
        "inotify_instances",
        || tell_budget(inotify, close, 200),
        || hear_budget(inotify, close),
    ),
    (
        "keys",
        || tell_budget(key, revoke, 40),
        || hear_budget(key, revoke),
    ),
    (
        "descriptors_in_flight",
        || tell_budget(in_flight, close_both, 100),
        || hear_budget(in_flight, close_both),
    ),
];

/// Lowers limits that are compared with what all processes of a user have: so this process sees early that
/// others have something.
pub(crate) fn lower_own_limits() {
    for (limit, value) in [
        (libc::RLIMIT_SIGPENDING, 100_u64),
        (libc::RLIMIT_MSGQUEUE, 400_000),
    ] {
        let mut limits = [value; 2];
        let _ = call(
            libc::SYS_prlimit64,
            &[0, limit as usize, at(&mut limits), 0],
        );
    }
}

/// Takes as many of a thing as there are, at most `most`, or gives them back.
fn tell_budget(take: fn() -> Fate<usize>, give: fn(usize), most: usize) -> Fate<Tell> {
    give(take()?);
    let mut taken = Vec::new();
    Ok(Box::new(move |bit| {
        if bit {
            let missing = most - taken.len();
            taken.extend((0..missing).map_while(|_| take().ok()));
        } else {
            taken.drain(..).for_each(give);
        }
        Ok(())
    }))
}

/// Takes one, and tells whether that worked.
fn hear_budget(take: fn() -> Fate<usize>, give: fn(usize)) -> Fate<Hear> {
    give(take()?);
    Ok(Box::new(move || {
        let taken = take().map(give);
        Ok(taken.err().unwrap_or(0).into())
    }))
}

/// Two descriptors in one number.
fn both(ends: [usize; 2]) -> usize {
    ends[0] << 16 | ends[1]
}

fn close_both(ends: usize) {
    close_all([ends >> 16, ends & 0xffff]);
}

fn timer() -> Fate<usize> {
    let mut number = 0_i32;
    let clock = libc::CLOCK_MONOTONIC as usize;
    call(libc::SYS_timer_create, &[clock, 0, at(&mut number)])?;
    Ok(number as usize)
}

fn delete_timer(number: usize) {
    let _ = call(libc::SYS_timer_delete, &[number]);
}

/// Queues blocked signals for this process until no more can be queued, or takes them.
fn tell_signals() -> Fate<Tell> {
    queue_signal()?;
    Ok(Box::new(|bit| {
        if bit {
            let _ = (0..400).try_for_each(|_| queue_signal());
        } else {
            while take_signal(QUEUED_SIGNAL) {}
        }
        Ok(())
    }))
}

fn queue_signal() -> Fate<()> {
    let own = call(libc::SYS_getpid, &[])?;
    // siginfo: number, error, code (SI_QUEUE), then the sender.
    let mut info = [0_i32; 32];
    [info[0], info[2]] = [QUEUED_SIGNAL, -1];
    let arguments = [own, QUEUED_SIGNAL as usize, at(&mut info)];
    call(libc::SYS_rt_sigqueueinfo, &arguments).map(drop)
}

fn large_pipe() -> Fate<usize> {
    let ends = pipe()?;
    // When there is no room for a large one, small ones take the rest.
    let _ = fcntl(ends[0], libc::F_SETPIPE_SZ, 1 << 20);
    Ok(both(ends))
}

fn size_of_new_pipe() -> Fate<i64> {
    let ends = pipe()?;
    let bytes = fcntl(ends[0], libc::F_GETPIPE_SZ, 0);
    close_all(ends);
    bytes.map(|bytes| bytes as i64)
}

fn queue() -> Fate<usize> {
    // Each has a name of its own, which is removed at once.
    let name = text(c"budget");
    let flags = (libc::O_RDWR | libc::O_CREAT | libc::O_EXCL) as usize;
    let mut attributes = [0_i64, 10, 8192, 0, 0, 0, 0, 0];
    let arguments = [name, flags, 0o600, at(&mut attributes)];
    let queue = call(libc::SYS_mq_open, &arguments)?;
    let _ = call(libc::SYS_mq_unlink, &[name]);
    Ok(queue)
}

fn inotify() -> Fate<usize> {
    call(libc::SYS_inotify_init1, &[0])
}

const PROCESS_KEYRING: usize = -2_isize as usize;

fn key() -> Fate<usize> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let mut name = format!("budget{number}\0").into_bytes();
    let mut payload = [0_u8; 1000];
    let arguments = [
        text(c"user"),
        at(name.as_mut_slice()),
        at(&mut payload),
        payload.len(),
        PROCESS_KEYRING,
    ];
    call(libc::SYS_add_key, &arguments)
}

fn revoke(serial: usize) {
    const REVOKE: usize = 3;
    const UNLINK: usize = 9;
    // The first gives back the bytes at once.
    let _ = call(libc::SYS_keyctl, &[REVOKE, serial]);
    let _ = call(libc::SYS_keyctl, &[UNLINK, serial, PROCESS_KEYRING]);
}

/// Sends descriptors over a pair of sockets that nobody reads.
fn in_flight() -> Fate<usize> {
    const DESCRIPTORS: usize = 200;
    let ends = socket_pair()?;
    let length = 16 + DESCRIPTORS * 4;
    // struct cmsghdr: length, level and type; then the descriptors, two in a word.
    let mut control = vec![ends[0] as u64 | (ends[0] as u64) << 32; length / 8];
    control[0] = length as u64;
    control[1] = libc::SOL_SOCKET as u64 | (libc::SCM_RIGHTS as u64) << 32;
    let mut byte = [0_u8; 1];
    let mut vector = [at(&mut byte), 1];
    let control = at(control.as_mut_slice());
    let mut message = [0, 0, at(&mut vector), 1, control, length, 0];
    match call(libc::SYS_sendmsg, &[ends[1], at(&mut message), 0]) {
        Ok(_) => Ok(both(ends)),
        Err(errno) => {
            close_all(ends);
            Err(errno)
        }
    }
}
