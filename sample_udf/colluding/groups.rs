//! Channels through what a kernel keeps for groups of processes, for users and for the machine.

use crate::sys::{
    Fate, GROUP_SIGNAL, Hear, Tell, Trick, at, call, end_child, fork, hear_signal, memory_file,
    tell_by_doing,
};

/// Whose priority: of a process, a group or a user (`ioprio_set`).
const PROCESS: usize = 1;
const GROUP: usize = 2;
const USER: usize = 3;

/// Words of `struct sysinfo`.
const SHARED_MEMORY: usize = 6;
const PROCESSES: usize = 10;

pub(crate) const TRICKS: &[Trick] = &[
    (
        "signal_to_group",
        || tell_by_doing(|| call(libc::SYS_kill, &[0, GROUP_SIGNAL as usize])),
        || hear_signal(GROUP_SIGNAL),
    ),
    ("io_priority_of_group", tell_io_priority, || {
        hear_io_priority(GROUP)
    }),
    ("io_priority_of_user", tell_io_priority, || {
        hear_io_priority(USER)
    }),
    ("processes_of_sysinfo", tell_children, || {
        hear_sysinfo(PROCESSES)
    }),
    ("shared_memory_of_sysinfo", tell_shared_memory, || {
        hear_sysinfo(SHARED_MEMORY)
    }),
];

/// Sets the priority of this process for input and output.
fn tell_io_priority() -> Fate<Tell> {
    const BEST_EFFORT: usize = 2 << 13;
    Ok(Box::new(|bit| {
        let level = if bit { 0 } else { 7 };
        call(libc::SYS_ioprio_set, &[PROCESS, 0, BEST_EFFORT | level]).map(drop)
    }))
}

fn hear_io_priority(whose: usize) -> Fate<Hear> {
    Ok(Box::new(move || {
        call(libc::SYS_ioprio_get, &[whose, 0]).map(|priority| priority as i64)
    }))
}

/// Keeps some processes alive.
fn tell_children() -> Fate<Tell> {
    let mut children = Vec::new();
    Ok(Box::new(move |bit| {
        if !bit {
            children.drain(..).for_each(end_child);
        }
        while bit && children.len() < 24 {
            match fork()? {
                0 => pause(),
                child => children.push(child),
            }
        }
        Ok(())
    }))
}

fn pause() -> ! {
    loop {
        let _ = call(libc::SYS_pause, &[]);
    }
}

fn tell_shared_memory() -> Fate<Tell> {
    const BYTES: usize = 32 << 20;
    let file = memory_file()?;
    Ok(Box::new(move |bit| {
        call(libc::SYS_ftruncate, &[file, 0])?;
        let bytes = if bit { BYTES } else { 1 };
        call(libc::SYS_fallocate, &[file, 0, 0, bytes]).map(drop)
    }))
}

fn hear_sysinfo(word: usize) -> Fate<Hear> {
    Ok(Box::new(move || {
        let mut fields = [0_i64; 16];
        call(libc::SYS_sysinfo, &[at(&mut fields)])?;
        // The number of processes has only two bytes.
        let mask = if word == PROCESSES { 0xffff } else { i64::MAX };
        Ok(fields[word] & mask)
    }))
}
