//! Channels through the descriptors that a process has from its start, and through the host's end of
//! the data connection.

use crate::files::{hear_flock, hear_lock_of, tell_flock, tell_write_lock_of};
use crate::sys::{FILE_SIGNAL, Fate, Hear, Tell, Trick, at, call, fcntl};

const INPUT: usize = 0;
const OUTPUT: usize = 1;
const DATA: usize = 3;
const F_SETSIG: i32 = 10;
const F_GETSIG: i32 = 11;
const SO_PEERPIDFD: i32 = 77;

pub(crate) const TRICKS: &[Trick] = &[
    (
        "flags_of_input",
        || tell_flags(INPUT),
        || hear_fcntl(INPUT, libc::F_GETFL),
    ),
    (
        "flags_of_output",
        || tell_flags(OUTPUT),
        || hear_fcntl(OUTPUT, libc::F_GETFL),
    ),
    (
        "flags_of_data",
        || tell_flags(DATA),
        || hear_fcntl(DATA, libc::F_GETFL),
    ),
    (
        "signal_of_input",
        || tell_fcntl(INPUT, F_SETSIG, [0, FILE_SIGNAL as usize]),
        || hear_fcntl(INPUT, F_GETSIG),
    ),
    (
        "size_of_output",
        || tell_fcntl(OUTPUT, libc::F_SETPIPE_SZ, [16 << 10, 32 << 10]),
        || hear_fcntl(OUTPUT, libc::F_GETPIPE_SZ),
    ),
    (
        "lock_of_output",
        || tell_write_lock_of(OUTPUT),
        || hear_lock_of(OUTPUT, libc::F_GETLK),
    ),
    (
        "buffer_of_data",
        || tell_option(libc::SO_RCVBUF, [4096, 65536]),
        || hear_option(libc::SO_RCVBUF),
    ),
    (
        "peek_offset_of_data",
        || tell_option(libc::SO_PEEK_OFF, [-1, 0]),
        || hear_option(libc::SO_PEEK_OFF),
    ),
    (
        "priority_of_data",
        || tell_option(libc::SO_PRIORITY, [0, 3]),
        || hear_option(libc::SO_PRIORITY),
    ),
    (
        "lock_of_peer",
        || tell_write_lock_of(peer()?),
        || hear_lock_of(peer()?, libc::F_GETLK),
    ),
    (
        "flock_of_peer",
        || tell_flock(peer()?),
        || hear_flock(peer()?),
    ),
    (
        "time_of_input",
        || {
            Ok(Box::new(|bit| {
                let mut times = [i64::from(bit), 0, 0, 0];
                call(libc::SYS_utimensat, &[INPUT, 0, at(&mut times), 0]).map(drop)
            }))
        },
        || Ok(Box::new(time_of_input)),
    ),
];

fn tell_fcntl(fd: usize, command: i32, values: [usize; 2]) -> Fate<Tell> {
    Ok(Box::new(move |bit| {
        fcntl(fd, command, values[usize::from(bit)]).map(drop)
    }))
}

fn hear_fcntl(fd: usize, command: i32) -> Fate<Hear> {
    Ok(Box::new(move || {
        fcntl(fd, command, 0).map(|value| value as i64)
    }))
}

/// Sets a flag that changes nothing for a stream.
fn tell_flags(fd: usize) -> Fate<Tell> {
    let flags = fcntl(fd, libc::F_GETFL, 0)?;
    tell_fcntl(fd, libc::F_SETFL, [flags, flags | libc::O_APPEND as usize])
}

fn tell_option(option: i32, values: [i32; 2]) -> Fate<Tell> {
    Ok(Box::new(move |bit| {
        let mut value = values[usize::from(bit)];
        let arguments = [
            DATA,
            libc::SOL_SOCKET as usize,
            option as usize,
            at(&mut value),
            4,
        ];
        call(libc::SYS_setsockopt, &arguments).map(drop)
    }))
}

fn hear_option(option: i32) -> Fate<Hear> {
    Ok(Box::new(move || option_of(DATA, option)))
}

/// Returns an option of a socket, which may be eight bytes long.
pub(crate) fn option_of(socket: usize, option: i32) -> Fate<i64> {
    let (mut value, mut length) = (0_i64, 8_u32);
    let arguments = [
        socket,
        libc::SOL_SOCKET as usize,
        option as usize,
        at(&mut value),
        at(&mut length),
    ];
    call(libc::SYS_getsockopt, &arguments)?;
    Ok(value)
}

/// Opens the process at the other end, which all processes have in common.
fn peer() -> Fate<usize> {
    option_of(DATA, SO_PEERPIDFD).map(|pidfd| pidfd as usize)
}

fn time_of_input() -> Fate<i64> {
    let mut fields = [0_i64; 18];
    call(libc::SYS_fstat, &[INPUT, at(&mut fields)])?;
    Ok(fields[9])
}
