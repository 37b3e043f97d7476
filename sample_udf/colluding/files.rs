//! Channels through files that two processes have in common: the program, a library, the root.

use std::ffi::CStr;

use libc::{F_RDLCK, F_UNLCK, F_WRLCK, MAP_PRIVATE, MAP_SHARED};

use crate::sys::{
    FILE_SIGNAL, Fate, Hear, LIBRARY, PROGRAM, Tell, Trick, at, call, count, fcntl, hear_signal,
    map, open, tell_by_doing, text,
};

const ROOT: &CStr = c"/";

pub(crate) const TRICKS: &[Trick] = &[
    (
        "futex_shared_program",
        || tell_futex(PROGRAM, MAP_SHARED),
        || hear_futex(PROGRAM, MAP_SHARED),
    ),
    (
        "futex_private_program",
        || tell_futex(PROGRAM, MAP_PRIVATE),
        || hear_futex(PROGRAM, MAP_PRIVATE),
    ),
    (
        "futex_shared_library",
        || tell_futex(LIBRARY, MAP_SHARED),
        || hear_futex(LIBRARY, MAP_SHARED),
    ),
    (
        "futex_private_library",
        || tell_futex(LIBRARY, MAP_PRIVATE),
        || hear_futex(LIBRARY, MAP_PRIVATE),
    ),
    ("futex_requeue_library", tell_requeue, || {
        hear_futex(LIBRARY, MAP_SHARED)
    }),
    (
        "record_lock_program",
        || tell_lock(PROGRAM, libc::F_SETLK),
        || hear_lock(PROGRAM, libc::F_GETLK),
    ),
    (
        "record_lock_library",
        || tell_lock(LIBRARY, libc::F_SETLK),
        || hear_lock(LIBRARY, libc::F_GETLK),
    ),
    (
        "open_file_lock_program",
        || tell_lock(PROGRAM, libc::F_OFD_SETLK),
        || hear_lock(PROGRAM, libc::F_OFD_GETLK),
    ),
    (
        "open_file_lock_library",
        || tell_lock(LIBRARY, libc::F_OFD_SETLK),
        || hear_lock(LIBRARY, libc::F_OFD_GETLK),
    ),
    (
        "flock_program",
        || tell_flock(open(PROGRAM, libc::O_RDONLY)?),
        || hear_flock(open(PROGRAM, libc::O_RDONLY)?),
    ),
    (
        "flock_library",
        || tell_flock(open(LIBRARY, libc::O_RDONLY)?),
        || hear_flock(open(LIBRARY, libc::O_RDONLY)?),
    ),
    (
        "flock_root",
        || tell_flock(open(ROOT, libc::O_RDONLY)?),
        || hear_flock(open(ROOT, libc::O_RDONLY)?),
    ),
    (
        "inotify_program",
        || tell_reads(PROGRAM),
        || hear_inotify(PROGRAM),
    ),
    (
        "inotify_library",
        || tell_reads(LIBRARY),
        || hear_inotify(LIBRARY),
    ),
    ("dnotify_root", || tell_reads(PROGRAM), hear_dnotify),
    (
        "file_in_tmp",
        || {
            Ok(Box::new(|bit| match bit {
                true => open(NOTE, libc::O_CREAT).map(drop),
                false => remove(NOTE),
            }))
        },
        || Ok(Box::new(|| Ok(open(NOTE, libc::O_RDONLY).is_ok().into()))),
    ),
    ("space_of_tmp", tell_space, hear_space),
];

fn tell_futex(path: &'static CStr, kind: i32) -> Fate<Tell> {
    let page = map(path, kind)?;
    let everyone = i32::MAX as usize;
    tell_by_doing(move || {
        call(
            libc::SYS_futex,
            &[page, libc::FUTEX_WAKE as usize, everyone],
        )
    })
}

/// Waits for wakes, in a thread.
fn hear_futex(path: &'static CStr, kind: i32) -> Fate<Hear> {
    let page = map(path, kind)?;
    // The start of an ELF file, or of the library, which is all sevens.
    let word = if path == PROGRAM {
        u32::from_le_bytes(*b"\x7fELF")
    } else {
        0x0707_0707
    };
    let wait = libc::FUTEX_WAIT as usize;
    count(move || call(libc::SYS_futex, &[page, wait, word as usize, 0]))
}

/// Wakes one of those that wait, and moves the others to another address of the same page.
fn tell_requeue() -> Fate<Tell> {
    let page = map(LIBRARY, MAP_SHARED)?;
    let requeue = libc::FUTEX_REQUEUE as usize;
    tell_by_doing(move || call(libc::SYS_futex, &[page, requeue, 64, 64, page + 8]))
}

/// struct flock: kind and whence, start, length, process.
fn flock_of(kind: i32) -> [i64; 4] {
    [i64::from(kind), 0xc011de, 1, 0]
}

fn tell_lock(path: &'static CStr, command: i32) -> Fate<Tell> {
    let file = open(path, libc::O_RDONLY)?;
    Ok(Box::new(move |bit| {
        let mut lock = flock_of(if bit { F_RDLCK } else { F_UNLCK });
        fcntl(file, command, at(&mut lock)).map(drop)
    }))
}

fn hear_lock(path: &'static CStr, command: i32) -> Fate<Hear> {
    hear_lock_of(open(path, libc::O_RDONLY)?, command)
}

pub(crate) fn hear_lock_of(file: usize, command: i32) -> Fate<Hear> {
    Ok(Box::new(move || {
        let mut lock = flock_of(F_WRLCK);
        fcntl(file, command, at(&mut lock))?;
        Ok((lock[0] as i16 != F_UNLCK as i16).into())
    }))
}

/// Locks a file for writing, which needs a descriptor that may write.
pub(crate) fn tell_write_lock_of(file: usize) -> Fate<Tell> {
    Ok(Box::new(move |bit| {
        let mut lock = flock_of(if bit { F_WRLCK } else { F_UNLCK });
        fcntl(file, libc::F_SETLK, at(&mut lock)).map(drop)
    }))
}

fn flock(file: usize, kind: i32) -> Fate<usize> {
    call(libc::SYS_flock, &[file, (kind | libc::LOCK_NB) as usize])
}

pub(crate) fn tell_flock(file: usize) -> Fate<Tell> {
    Ok(Box::new(move |bit| {
        flock(file, if bit { libc::LOCK_SH } else { libc::LOCK_UN }).map(drop)
    }))
}

pub(crate) fn hear_flock(file: usize) -> Fate<Hear> {
    Ok(Box::new(move || match flock(file, libc::LOCK_EX) {
        Ok(_) => flock(file, libc::LOCK_UN).map(|_| 0),
        Err(libc::EAGAIN) => Ok(1),
        Err(errno) => Err(errno),
    }))
}

fn tell_reads(path: &'static CStr) -> Fate<Tell> {
    let file = open(path, libc::O_RDONLY)?;
    tell_by_doing(move || call(libc::SYS_pread64, &[file, at(&mut [0_u8; 64]), 64, 0]))
}

fn hear_inotify(path: &'static CStr) -> Fate<Hear> {
    let watch = call(libc::SYS_inotify_init1, &[libc::IN_NONBLOCK as usize])?;
    let accesses = libc::IN_ACCESS as usize;
    call(libc::SYS_inotify_add_watch, &[watch, text(path), accesses])?;
    let mut events = 0;
    Ok(Box::new(move || {
        let mut buffer = [0_u8; 4096];
        while let Ok(bytes) = call(libc::SYS_read, &[watch, at(&mut buffer), 4096]) {
            events += bytes as i64 / 16;
        }
        Ok(events)
    }))
}

/// Asks for a signal whenever a file in the root is read.
fn hear_dnotify() -> Fate<Hear> {
    const F_SETSIG: i32 = 10;
    const F_NOTIFY: i32 = 1026;
    const DN_ACCESS_MULTISHOT: usize = 1 | 1 << 31;
    let folder = open(ROOT, libc::O_RDONLY)?;
    fcntl(folder, F_SETSIG, FILE_SIGNAL as usize)?;
    fcntl(folder, F_NOTIFY, DN_ACCESS_MULTISHOT)?;
    hear_signal(FILE_SIGNAL)
}

const NOTE: &CStr = c"/tmp/note";
const LARGE: &CStr = c"/tmp/large";

fn remove(path: &'static CStr) -> Fate<()> {
    match call(
        libc::SYS_unlinkat,
        &[libc::AT_FDCWD as usize, text(path), 0],
    ) {
        Ok(_) | Err(libc::ENOENT) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Fills a part of `/tmp`, or empties it.
fn tell_space() -> Fate<Tell> {
    const BYTES: usize = 1 << 20;
    let file = open(LARGE, libc::O_CREAT | libc::O_RDWR)?;
    Ok(Box::new(move |bit| {
        call(libc::SYS_ftruncate, &[file, 0])?;
        let mut bytes = vec![1_u8; if bit { BYTES } else { 0 }];
        let length = bytes.len();
        call(
            libc::SYS_pwrite64,
            &[file, at(bytes.as_mut_slice()), length, 0],
        )
        .map(drop)
    }))
}

/// Returns the free blocks of `/tmp`.
fn hear_space() -> Fate<Hear> {
    Ok(Box::new(|| {
        let mut fields = [0_i64; 16];
        call(libc::SYS_statfs, &[text(c"/tmp"), at(&mut fields)])?;
        Ok(fields[3])
    }))
}
