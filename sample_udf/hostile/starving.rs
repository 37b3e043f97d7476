//! Tricks that take what neighbours need, as much of it as they can get, until they are ended.

use std::fs::File;
use std::io::Write;
use std::thread;

use crate::Trick;
use crate::answer::Answer;
use crate::file_system::adopt;
use crate::kernel::{at, call, exit, fork, number, text, wait_for_ever};
use crate::resources::burn;

pub(crate) const TRICKS: &[(&str, Trick)] = &[
    ("storm_of_processes", |_, _| storm_of_processes()),
    ("storm_of_threads", |_, _| storm_of_threads()),
    ("storm_of_short_processes", |_, _| {
        storm_of_short_processes()
    }),
    ("storm_of_timer_descriptors", |_, _| timer_descriptors()),
    ("storm_of_timers", |_, _| timers()),
    ("storm_of_interval_timers", |_, _| interval_timers()),
    ("storm_of_signals", |_, _| storm_of_signals()),
    ("hoard_memory", |_, _| hoard_memory()),
    ("hoard_memory_files", |_, _| hoard_memory_files()),
    ("hoard_memory_in_processes", |_, _| {
        while !matches!(fork(), Ok(true) | Err(_)) {}
        hoard_memory()
    }),
];

/// Every process forks until the limit is reached, and then uses the processor.
fn storm_of_processes() -> Answer {
    while fork().is_ok() {}
    burn()
}

fn storm_of_threads() -> Answer {
    while thread::Builder::new()
        .stack_size(16 << 10)
        .spawn(|| burn())
        .is_ok()
    {}
    burn()
}

/// Starts processes that end at once, in several processes.
fn storm_of_short_processes() -> Answer {
    for _ in 0..8 {
        let _ = fork();
    }
    loop {
        match fork() {
            Ok(true) => exit(),
            Ok(false) | Err(_) => {
                let _ = call(libc::SYS_wait4, &[number(-1), 0, libc::WNOHANG as usize, 0]);
            }
        }
    }
}

/// An interval and a first expiration of a nanosecond: `struct itimerspec`.
const NANOSECOND: [u64; 4] = [0, 1, 0, 1];

fn timer_descriptors() -> Answer {
    for _ in 0..200 {
        let timer = call(
            libc::SYS_timerfd_create,
            &[libc::CLOCK_MONOTONIC as usize, 0],
        );
        let Ok(timer) = timer else { break };
        let _ = call(
            libc::SYS_timerfd_settime,
            &[timer, 0, at(&mut NANOSECOND.clone()), 0],
        );
    }
    wait_for_ever()
}

/// With ignored signals, so that only the kernel is busy.
fn timers() -> Answer {
    ignore(libc::SIGALRM);
    for _ in 0..200 {
        // struct sigevent: value, then signal and SIGEV_SIGNAL.
        let mut event = [0_u64, libc::SIGALRM as u64, 0, 0, 0, 0, 0, 0];
        let mut timer = 0_u64;
        let create = [
            libc::CLOCK_MONOTONIC as usize,
            at(&mut event),
            at(&mut timer),
        ];
        if call(libc::SYS_timer_create, &create).is_err() {
            break;
        }
        let set = [timer as usize, 0, at(&mut NANOSECOND.clone()), 0];
        let _ = call(libc::SYS_timer_settime, &set);
    }
    wait_for_ever()
}

/// One in each process, of a microsecond.
fn interval_timers() -> Answer {
    ignore(libc::SIGALRM);
    for _ in 0..5 {
        let _ = fork();
    }
    let mut microsecond = [0_u64, 1, 0, 1];
    let _ = call(
        libc::SYS_setitimer,
        &[libc::ITIMER_REAL as usize, at(&mut microsecond), 0],
    );
    wait_for_ever()
}

fn ignore(signal: i32) {
    // struct sigaction of the kernel, with SIG_IGN.
    let mut action = [1_u64, 0, 0, 0];
    let _ = call(
        libc::SYS_rt_sigaction,
        &[signal as usize, at(&mut action), 0, 8],
    );
}

/// Sends signals to the whole process tree, from all of it.
fn storm_of_signals() -> Answer {
    ignore(libc::SIGUSR1);
    for _ in 0..4 {
        let _ = fork();
    }
    loop {
        let _ = call(libc::SYS_kill, &[number(-1), libc::SIGUSR1 as usize]);
    }
}

fn hoard_memory() -> Answer {
    const STEP: usize = 8 << 20;
    let access = (libc::PROT_READ | libc::PROT_WRITE) as usize;
    let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE) as usize;
    while call(libc::SYS_mmap, &[0, STEP, access, flags, number(-1), 0]).is_ok() {}
    wait_for_ever()
}

/// Writes to files that only descriptors refer to: no mapping counts them.
fn hoard_memory_files() -> Answer {
    let name = text(c"hoard");
    let chunk = vec![1; 1 << 20];
    let mut files: Vec<File> = Vec::new();
    while let Ok(file) = call(libc::SYS_memfd_create, &[name, 0]) {
        let mut file = adopt(file);
        let written = (0..64).all(|_| file.write_all(&chunk).is_ok());
        files.push(file);
        if !written {
            break;
        }
    }
    wait_for_ever()
}
