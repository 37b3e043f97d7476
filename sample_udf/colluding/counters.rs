//! Channels through numbers that a kernel counts up, and through names.

use std::ffi::c_long;

use crate::descriptors::option_of;
use crate::sys::{
    Fate, Hear, NONE, Tell, Trick, at, call, close, close_all, end_child, exit, hear_by_taking,
    memory_file, pipe, socket_pair, tell_by_doing, tell_by_having, text,
};

const SO_COOKIE: i32 = 57;

pub(crate) const TRICKS: &[Trick] = &[
    (
        "inode_of_pipe",
        || tell_by_making(pipe),
        || hear_inode(pipe),
    ),
    (
        "inode_of_socket",
        || tell_by_making(socket_pair),
        || hear_inode(socket_pair),
    ),
    (
        "inode_of_memory_file",
        || tell_by_making(one_memory_file),
        || hear_inode(one_memory_file),
    ),
    ("inode_of_pidfd", tell_processes, || hear_inode(pidfd)),
    ("inode_of_cloned_pidfd", tell_processes, || {
        hear_inode(cloned_pidfd)
    }),
    ("process_numbers", tell_processes, || {
        Ok(Box::new(|| {
            let child = short_child(0, 0)?;
            end_child(child);
            Ok(child as i64)
        }))
    }),
    (
        "cookie_of_socket",
        || {
            tell_by_doing(|| {
                (0..256).try_for_each(|_| cookie().map(drop))?;
                Ok(0)
            })
        },
        || Ok(Box::new(cookie)),
    ),
    (
        "bound_name",
        || tell_by_having(bind_name),
        || hear_by_taking(bind_name, libc::EADDRINUSE),
    ),
    ("datagram_to_a_name", tell_datagrams, hear_datagrams),
    (
        "port_of_loopback",
        || tell_by_having(bind_port),
        || hear_by_taking(bind_port, libc::EADDRINUSE),
    ),
    (
        "netlink_port",
        || tell_by_having(bind_netlink),
        || hear_by_taking(bind_netlink, libc::EADDRINUSE),
    ),
    (
        "number_of_queue",
        || tell_ipc(libc::SYS_msgget),
        || hear_ipc(libc::SYS_msgget),
    ),
    (
        "number_of_semaphores",
        || tell_ipc(libc::SYS_semget),
        || hear_ipc(libc::SYS_semget),
    ),
    ("posix_queue", tell_posix_queue, hear_posix_queue),
];

fn one_memory_file() -> Fate<[usize; 2]> {
    Ok([memory_file()?, NONE])
}

/// Starts a process that ends at once.
fn short_child(flags: i32, pidfd: usize) -> Fate<usize> {
    let flags = (libc::SIGCHLD | flags) as usize;
    match call(libc::SYS_clone, &[flags, 0, pidfd, 0, 0])? {
        0 => exit(),
        child => Ok(child),
    }
}

fn pidfd() -> Fate<[usize; 2]> {
    let child = short_child(0, 0)?;
    let fd = call(libc::SYS_pidfd_open, &[child, 0]);
    end_child(child);
    Ok([fd?, NONE])
}

fn cloned_pidfd() -> Fate<[usize; 2]> {
    let mut fd = 0_i32;
    end_child(short_child(libc::CLONE_PIDFD, at(&mut fd))?);
    Ok([fd as usize, NONE])
}

/// Makes many of a thing if the bit is one.
fn tell_by_making(make: fn() -> Fate<[usize; 2]>) -> Fate<Tell> {
    tell_by_doing(move || {
        (0..256).try_for_each(|_| make().map(close_all))?;
        Ok(0)
    })
}

fn hear_inode(make: fn() -> Fate<[usize; 2]>) -> Fate<Hear> {
    Ok(Box::new(move || {
        let made = make()?;
        let mut fields = [0_i64; 18];
        let stat = call(libc::SYS_fstat, &[made[0], at(&mut fields)]);
        close_all(made);
        stat.map(|_| fields[1])
    }))
}

fn tell_processes() -> Fate<Tell> {
    tell_by_doing(|| {
        (0..16).try_for_each(|_| short_child(0, 0).map(end_child))?;
        Ok(0)
    })
}

/// The cookie of a new socket.
fn cookie() -> Fate<i64> {
    let ends = socket_pair()?;
    let cookie = option_of(ends[0], SO_COOKIE);
    close_all(ends);
    cookie
}

fn unix_datagrams() -> Fate<usize> {
    let kind = (libc::SOCK_DGRAM | libc::SOCK_NONBLOCK) as usize;
    call(libc::SYS_socket, &[libc::AF_UNIX as usize, kind, 0])
}

fn bind(socket: usize, address: &mut [u8]) -> Fate<usize> {
    let length = address.len();
    match call(libc::SYS_bind, &[socket, at(address), length]) {
        Ok(_) => Ok(socket),
        Err(errno) => {
            close(socket);
            Err(errno)
        }
    }
}

/// Takes an abstract name.
fn bind_name() -> Fate<usize> {
    bind(unix_datagrams()?, &mut b"\x01\0\0colluding".to_owned())
}

fn bind_port() -> Fate<usize> {
    let [domain, kind] = [libc::AF_INET as usize, libc::SOCK_DGRAM as usize];
    let socket = call(libc::SYS_socket, &[domain, kind, 0])?;
    let mut address = [2, 0, 0x77, 0x31, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    bind(socket, &mut address)
}

fn bind_netlink() -> Fate<usize> {
    let [domain, kind] = [libc::AF_NETLINK as usize, libc::SOCK_RAW as usize];
    let socket = call(libc::SYS_socket, &[domain, kind, 0])?;
    // struct sockaddr_nl: family, padding, port, groups.
    let mut address = [16, 0, 0, 0, 0xde, 0x11, 0xc0, 0, 0, 0, 0, 0];
    bind(socket, &mut address)
}

const DATAGRAMS: [u8; 12] = *b"\x01\0\0datagrams";

fn tell_datagrams() -> Fate<Tell> {
    let socket = unix_datagrams()?;
    tell_by_doing(move || {
        let mut name = DATAGRAMS;
        let arguments = [
            socket,
            at(&mut [1_u8]),
            1,
            0,
            at(&mut name),
            DATAGRAMS.len(),
        ];
        call(libc::SYS_sendto, &arguments)
    })
}

fn hear_datagrams() -> Fate<Hear> {
    let socket = bind(unix_datagrams()?, &mut DATAGRAMS.clone())?;
    let mut heard = 0;
    Ok(Box::new(move || {
        let mut byte = [0_u8];
        while call(libc::SYS_recvfrom, &[socket, at(&mut byte), 1, 0, 0, 0]).is_ok() {
            heard += 1;
        }
        Ok(heard)
    }))
}

const KEY: usize = 0xc011;

fn get_ipc(get: c_long, flags: i32) -> Fate<usize> {
    let flags = (flags | 0o666) as usize;
    match get == libc::SYS_semget {
        true => call(get, &[KEY, 1, flags]),
        false => call(get, &[KEY, flags]),
    }
}

fn remove_ipc(get: c_long, number: usize) -> Fate<()> {
    let remove = libc::IPC_RMID as usize;
    match get == libc::SYS_semget {
        true => call(libc::SYS_semctl, &[number, 0, remove, 0]),
        false => call(libc::SYS_msgctl, &[number, remove, 0]),
    }
    .map(drop)
}

/// Keeps a queue or a set of semaphores, or none.
fn tell_ipc(get: c_long) -> Fate<Tell> {
    Ok(Box::new(move |bit| match bit {
        true => get_ipc(get, libc::IPC_CREAT).map(drop),
        false => match get_ipc(get, 0) {
            Ok(number) => remove_ipc(get, number),
            Err(libc::ENOENT) => Ok(()),
            Err(errno) => Err(errno),
        },
    }))
}

fn hear_ipc(get: c_long) -> Fate<Hear> {
    Ok(Box::new(move || match get_ipc(get, 0) {
        Ok(_) => Ok(1),
        Err(libc::ENOENT) => Ok(0),
        Err(errno) => Err(errno),
    }))
}

fn open_queue(flags: i32) -> Fate<()> {
    let name = text(c"colluding");
    call(libc::SYS_mq_open, &[name, flags as usize, 0o666, 0]).map(close)
}

fn tell_posix_queue() -> Fate<Tell> {
    Ok(Box::new(|bit| {
        if bit {
            return open_queue(libc::O_RDWR | libc::O_CREAT);
        }
        match call(libc::SYS_mq_unlink, &[text(c"colluding")]) {
            Ok(_) | Err(libc::ENOENT) => Ok(()),
            Err(errno) => Err(errno),
        }
    }))
}

fn hear_posix_queue() -> Fate<Hear> {
    Ok(Box::new(|| match open_queue(libc::O_RDONLY) {
        Ok(()) => Ok(1),
        Err(libc::ENOENT) => Ok(0),
        Err(errno) => Err(errno),
    }))
}
