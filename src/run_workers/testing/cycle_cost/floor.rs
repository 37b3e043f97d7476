//! The cheapest loop: one clone into the same namespaces, `execve`, one round trip, one reap. No host,
//! no filter, no messages.

use crate::host::{Bundle, Mode, read_message, write_message};
use nix::sched::CloneFlags;
use roma_sandbox::clone::{Forked, fork_into};
use roma_sandbox::fdpass::{self, packet_pair};
use roma_sandbox::gate::Gate;
use roma_sandbox::{descriptors, mounts, namespaces, wait};
use std::ffi::c_void;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::ptr::null_mut;
use std::time::{Duration, Instant};

/// Cycles a second of so many loops side by side.
pub fn measure(mode: Mode, udf: &[u8], loops: u8, time: Duration) -> f64 {
    let program = std::env::current_exe().expect("a path");
    let (control, inside) = packet_pair().expect("a pair");
    let bundle = match mode {
        Mode::Direct => None,
        Mode::Gvisor(_) => Some(Bundle::new(&program, "")),
    };
    let mut command = match (mode, &bundle) {
        (Mode::Gvisor(platform), Some(bundle)) => bundle.command(platform),
        _ => Command::new(&program),
    };
    let mut process = command.stdin(Stdio::from(inside)).spawn().expect("started");
    drop(command);
    let (mut code, code_inside) = UnixStream::pair().expect("a pair");
    let order = [loops, time.as_secs() as u8];
    fdpass::send(control.as_fd(), &order, &[code_inside.as_fd()]).expect("to send");
    drop(code_inside);
    code.write_all(udf).expect("to send the UDF");
    drop(code);
    let mut cycles = 0;
    for _ in 0..loops {
        let mut count = [0; 8];
        let packet = fdpass::receive(control.as_fd(), &mut count, Gate::NONE).expect("a count");
        assert_eq!(packet.bytes, count.len(), "the floor failed");
        cycles += u64::from_le_bytes(count);
    }
    drop(control);
    process.wait().expect("a child");
    cycles as f64 / time.as_secs_f64()
}

/// Whether this process is the one that [`measure`] started.
pub fn is_inside() -> bool {
    // SAFETY: all bytes zero is a valid stat, which is plain numbers.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live stat.
    unsafe { libc::fstat(0, &mut stat) == 0 && stat.st_mode & libc::S_IFMT == libc::S_IFSOCK }
}

pub fn run_inside() {
    let control = descriptors::take_standard_input();
    let mut order = [0; 2];
    let packet = fdpass::receive(control.as_fd(), &mut order, Gate::NONE).expect("an order");
    let mut udf = Vec::new();
    let code = packet.descriptors.into_iter().next().expect("the UDF");
    UnixStream::from(code)
        .read_to_end(&mut udf)
        .expect("the UDF");
    match fork_into(namespaces::all()).expect("to fork") {
        Forked::Parent(pid) => {
            wait::wait_for(pid).expect("a child");
        }
        Forked::Child => {
            make_root(&udf);
            drop(udf);
            run_loops(&control, order[0], Duration::from_secs(order[1].into()));
            std::process::exit(0);
        }
    }
}

fn make_root(udf: &[u8]) {
    mounts::make_private().expect("private mounts");
    let staging = mounts::mount_root(udf.len() as u64 + (1 << 20)).expect("a root");
    mounts::pivot_into(staging).expect("to pivot");
    std::fs::write("/udf", udf).expect("to write the UDF");
    let mode = std::fs::Permissions::from_mode(0o555);
    std::fs::set_permissions("/udf", mode).expect("to make it a program");
    mounts::detach_old_root().expect("to detach");
    mounts::remount_read_only("/".as_ref()).expect("to seal");
}

fn run_loops(control: &OwnedFd, loops: u8, time: Duration) {
    let mut children = Vec::new();
    for _ in 0..loops {
        match fork_into(CloneFlags::empty()).expect("to fork") {
            Forked::Parent(pid) => children.push(pid),
            Forked::Child => {
                let count = cycles(time).to_le_bytes();
                fdpass::send(control.as_fd(), &count, &[]).expect("to tell");
                std::process::exit(0);
            }
        }
    }
    for pid in children {
        wait::wait_for(pid).expect("a child");
    }
}

fn cycles(time: Duration) -> u64 {
    let mut stack = vec![0u8; 64 * 1024];
    let begun = Instant::now();
    let mut count = 0;
    while begun.elapsed() < time {
        let (mut outside, inside) = UnixStream::pair().expect("a pair");
        start(&mut stack, inside.as_raw_fd());
        drop(inside);
        outside.read_exact(&mut [0]).expect("readiness");
        write_message(&mut outside, super::REQUEST.as_bytes());
        assert!(!read_message(&mut outside).is_empty());
        while wait::reap_any().expect("a child").is_none() {
            // SAFETY: all pointers may be null: this only waits until a child has ended.
            unsafe { libc::waitid(libc::P_ALL, 0, null_mut(), libc::WEXITED | libc::WNOWAIT) };
        }
        count += 1;
    }
    count
}

fn start(stack: &mut [u8], data: RawFd) {
    let flags = libc::CLONE_VM
        | libc::CLONE_VFORK
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUSER
        | libc::SIGCHLD;
    let top = stack.as_mut_ptr_range().end.map_addr(|end| end & !15);
    // SAFETY: the stack is used by nothing else while CLONE_VFORK suspends this process.
    let pid = unsafe { libc::clone(child, top.cast(), flags, data as usize as *mut c_void) };
    assert!(pid > 0, "clone: {}", std::io::Error::last_os_error());
}

extern "C" fn child(data: *mut c_void) -> i32 {
    let arguments = [c"udf".as_ptr(), c"3".as_ptr(), std::ptr::null()];
    let environment = [std::ptr::null()];
    // SAFETY: system calls only; the lists end with null pointers.
    unsafe {
        if data as usize != 3 {
            libc::dup2(data as usize as RawFd, 3);
        } else {
            libc::fcntl(3, libc::F_SETFD, 0);
        }
        libc::execve(c"/udf".as_ptr(), arguments.as_ptr(), environment.as_ptr());
        libc::_exit(127)
    }
}
