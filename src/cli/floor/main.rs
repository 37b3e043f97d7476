//! The floor: the cheapest loop that gets one response from a fresh process in namespaces of its own,
//! over and over. No host, no messages, no filter, no limits, no pool.
//!
//! It runs where `run_workers` would, with the control connection as standard input. The order is one
//! packet: loops (u16), milliseconds (u32) and 1 for `hot` (u8), little-endian, with a stream attached
//! that brings the length of the UDF (u64), the UDF, and the request's frame. Each loop sends one packet:
//! the number of cycles (u64), then the nanoseconds of up to [`MAX_SAMPLES`] of them (u32 each).
//!
//! The time of a cycle is that of all of it or, if `hot`, the time from the request to the response of a
//! process that has been ready for a while.

mod launcher;

use std::fs::{self, Permissions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::unistd::{getgid, getuid};
use roma_protocol::byob::frame::FrameDecoder;
use roma_sandbox::caps::{Capability, effective};
use roma_sandbox::clone::{Forked, fork_into};
use roma_sandbox::fdpass::{self, Packet};
use roma_sandbox::gate::Gate;
use roma_sandbox::{descriptors, mounts, namespaces, wait};

use crate::launcher::BareLauncher;

/// Maximum number of cycles whose times one loop reports.
const MAX_SAMPLES: usize = 10_000;
/// How long a process has been ready before it gets a `hot` request.
const REST: Duration = Duration::from_millis(1);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("floor: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<()> {
    let control = descriptors::take_standard_input();
    let mut order = [0; 7];
    let Packet { descriptors, .. } = fdpass::receive(control.as_fd(), &mut order, Gate::NONE)?;
    let loops = u16::from_le_bytes([order[0], order[1]]);
    let millis = u32::from_le_bytes([order[2], order[3], order[4], order[5]]);
    let cycle = if order[6] == 1 { hot_cycle } else { cycle };
    let code = descriptors.into_iter().next().ok_or(Errno::EBADF)?;
    let (udf, request) = receive(code)?;
    // An ordinary user becomes root of a user namespace first. The ids are read here: in a new user
    // namespace every id is 65534 until the map is written.
    let rootless = !effective()?.has(Capability::SysAdmin);
    let (user, group) = (getuid().as_raw(), getgid().as_raw());
    let mut flags = namespaces::all();
    flags.set(CloneFlags::CLONE_NEWUSER, rootless);
    match fork_into(flags)? {
        Forked::Parent(pid) => wait::wait_for(pid).map(drop)?,
        Forked::Child => {
            if rootless {
                namespaces::become_root_of_user_namespace(user, group)?;
            }
            make_root(&udf)?;
            drop(udf);
            run_loops(
                &control,
                loops,
                Duration::from_millis(millis.into()),
                |launcher| cycle(launcher, &request),
            )?;
        }
    }
    Ok(())
}

fn receive(code: OwnedFd) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut stream = UnixStream::from(code);
    let mut length = [0; 8];
    stream.read_exact(&mut length)?;
    let mut udf = Vec::new();
    Read::by_ref(&mut stream)
        .take(u64::from_le_bytes(length))
        .read_to_end(&mut udf)?;
    let mut request = Vec::new();
    stream.read_to_end(&mut request)?;
    Ok((udf, request))
}

/// Creates the same kind of root as a pool has, and moves this process into it.
fn make_root(udf: &[u8]) -> io::Result<()> {
    mounts::make_private()?;
    let staging = mounts::mount_root(udf.len() as u64 + (1 << 20))?;
    mounts::pivot_into(staging)?;
    fs::write("/udf", udf)?;
    fs::set_permissions("/udf", Permissions::from_mode(0o555))?;
    mounts::detach_old_root()?;
    Ok(mounts::remount_read_only(Path::new("/"))?)
}

fn run_loops(
    control: &OwnedFd,
    loops: u16,
    time: Duration,
    cycle: impl Fn(&mut BareLauncher) -> io::Result<Duration>,
) -> io::Result<()> {
    let mut children = Vec::new();
    for _ in 0..loops {
        match fork_into(CloneFlags::empty())? {
            Forked::Parent(pid) => children.push(pid),
            Forked::Child => {
                return Ok(fdpass::send(control.as_fd(), &cycles(time, cycle)?, &[])?);
            }
        }
    }
    for pid in children {
        wait::wait_for(pid)?;
    }
    Ok(())
}

fn cycles(
    time: Duration,
    cycle: impl Fn(&mut BareLauncher) -> io::Result<Duration>,
) -> io::Result<Vec<u8>> {
    let mut launcher = BareLauncher::new();
    let mut samples = Vec::with_capacity(4 * MAX_SAMPLES);
    let mut count = 0_u64;
    let begun = Instant::now();
    while begun.elapsed() < time {
        let took = cycle(&mut launcher)?;
        count += 1;
        if count <= MAX_SAMPLES as u64 {
            let nanos = u32::try_from(took.as_nanos()).unwrap_or(u32::MAX);
            samples.extend_from_slice(&nanos.to_le_bytes());
        }
    }
    let mut report = count.to_le_bytes().to_vec();
    report.extend(samples);
    Ok(report)
}

/// Runs one process from its start to its end. The request is there before the process reads it.
fn cycle(launcher: &mut BareLauncher, request: &[u8]) -> io::Result<Duration> {
    let since = Instant::now();
    let (mut outside, inside) = UnixStream::pair()?;
    let pid = launcher.start(inside.as_fd())?;
    drop(inside);
    outside.write_all(request)?;
    read_response(&mut outside, 1)?;
    wait::wait_for(pid)?;
    Ok(since.elapsed())
}

/// Runs one process, which gets its request when it has been ready for a while.
fn hot_cycle(launcher: &mut BareLauncher, request: &[u8]) -> io::Result<Duration> {
    let (mut outside, inside) = UnixStream::pair()?;
    let pid = launcher.start(inside.as_fd())?;
    drop(inside);
    outside.read_exact(&mut [0])?;
    std::thread::sleep(REST);
    let since = Instant::now();
    outside.write_all(request)?;
    read_response(&mut outside, 0)?;
    let took = since.elapsed();
    wait::wait_for(pid)?;
    Ok(took)
}

/// Reads one frame after `skip` other bytes.
fn read_response(outside: &mut UnixStream, mut skip: usize) -> io::Result<()> {
    let mut decoder = FrameDecoder::new(usize::MAX);
    let mut buffer = [0; 64 * 1024];
    loop {
        let count = outside.read(&mut buffer)?;
        if count == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the UDF did not answer",
            ));
        }
        if decoder
            .push(&buffer[skip..count])
            .map_err(io::Error::other)?
        {
            return Ok(());
        }
        skip = 0;
    }
}
