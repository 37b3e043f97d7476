//! A copy of an image in memory and its own namespaces, for programs to run in.

use std::fs::{self, File, Permissions};
use std::io::{self, PipeWriter, Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use nix::mount::{MsFlags, mount};
use nix::sched::CloneFlags;
use nix::unistd::{getgid, getuid};
use roma_sandbox::caps::{self, Capability, CapabilitySet};
use roma_sandbox::clone::{Forked, fork_into};
use roma_sandbox::{mounts, namespaces, signals, wait};
use serde::{Deserialize, Serialize};

use crate::copy;
use crate::tree::Tree;
use crate::user::User;

/// The bytes that programs may add to the copy.
const FREE_BYTES: u64 = 1 << 30;
/// The capabilities of root in Docker: CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID,
/// SETPCAP, NET_BIND_SERVICE, NET_RAW, SYS_CHROOT, MKNOD, AUDIT_WRITE, SETFCAP.
const USUAL_CAPABILITIES: CapabilitySet = CapabilitySet(0xa804_25fb);
const DEVICES: [&str; 6] = ["full", "null", "random", "tty", "urandom", "zero"];
const DEVICE_LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

const NOTHING: Option<&str> = None;

/// A container: the files, and the user that programs run as.
#[derive(Debug)]
pub struct Container<'a> {
    /// The image's files.
    pub tree: &'a Tree,
    /// The user that programs run as.
    pub user: User,
    /// The directory that they start in.
    pub workdir: PathBuf,
    /// Whether they keep all capabilities of this process.
    pub privileged: bool,
}

/// The result of a test.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Report {
    /// The failed expectations.
    pub problems: Vec<String>,
    /// Limitations of this machine that may explain them.
    pub notes: Vec<String>,
}

/// How programs get the uid and gid to run with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Becoming {
    /// They change to it.
    Change,
    /// They inherit it.
    Nothing,
}

impl Container<'_> {
    /// Runs `work` in the container. Its processes, files and mounts are removed afterwards.
    pub fn run(&self, work: impl FnOnce(Becoming, &mut Report) -> Result<()>) -> Result<Report> {
        let (mut reader, writer) = io::pipe()?;
        let inside = self.needs_user_namespace()?;
        let mut flags = CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWIPC
            | CloneFlags::CLONE_NEWUTS;
        flags.set(CloneFlags::CLONE_NEWUSER, inside);
        let outer = (getuid().as_raw(), getgid().as_raw());
        let forked = fork_into(flags).with_context(|| no_namespaces(inside))?;
        let Forked::Parent(pid) = forked else {
            let mut report = Report::default();
            let done = self.enter(inside.then_some(outer), &mut report);
            answer(
                writer,
                done.and_then(|becoming| work(becoming, &mut report))
                    .map(|()| report),
            );
        };
        drop(writer);
        let mut text = Vec::new();
        reader.read_to_end(&mut text)?;
        let ended = wait::wait_for(pid)?;
        let answer: Result<Report, String> = serde_json::from_slice(&text)
            .with_context(|| format!("the container ended with {:?}", ended.status))?;
        answer.map_err(|error| anyhow!(error))
    }

    /// Returns whether the user can only be mapped in a user namespace: without capabilities, or if
    /// this namespace does not have it.
    fn needs_user_namespace(&self) -> Result<bool> {
        let mine = caps::effective()?;
        let able = [Capability::SysAdmin, Capability::SetUid, Capability::SetGid]
            .iter()
            .all(|one| mine.has(*one));
        Ok(!able || !exists("uid_map", self.user.uid)? || !exists("gid_map", self.user.gid)?)
    }

    /// Becomes the first process of the container.
    fn enter(&self, outer: Option<(u32, u32)>, report: &mut Report) -> Result<Becoming> {
        signals::die_with_parent()?;
        let User { uid, gid, .. } = self.user;
        if let Some(outer) = outer {
            namespaces::become_user_of_user_namespace((uid, gid), outer)
                .context("cannot map the user")?;
        }
        mounts::make_private()?;
        let staging = mounts::mount_root(copy::size(self.tree) + FREE_BYTES)
            .context("cannot mount a file system in memory")?;
        if !copy::make(self.tree, staging)? {
            report.notes.push(format!(
                "only one user can be mapped here: all files belong to {uid}:{gid}"
            ));
        }
        mounts::pivot_into(staging)?;
        mount_proc(report)?;
        make_devices().context("cannot create the devices")?;
        mounts::detach_old_root()?;
        namespaces::hide_host_name()?;
        fs::create_dir_all(&self.workdir).with_context(|| self.workdir.display().to_string())?;
        if !self.privileged {
            caps::bound(USUAL_CAPABILITIES)?;
        }
        let changes = outer.is_none() && (uid, gid) != (getuid().as_raw(), getgid().as_raw());
        Ok(if changes {
            Becoming::Change
        } else {
            Becoming::Nothing
        })
    }
}

fn no_namespaces(user: bool) -> &'static str {
    if user {
        "a user namespace for the command cannot be created; \
         allow user namespaces, or run the test as root with CAP_SYS_ADMIN"
    } else {
        "the namespaces for the command cannot be created"
    }
}

/// Sends the report to the parent and ends this process.
fn answer(mut to: PipeWriter, report: Result<Report>) -> ! {
    let report = report.map_err(|error| format!("{error:#}"));
    let written = serde_json::to_vec(&report)
        .map_err(io::Error::from)
        .and_then(|text| to.write_all(&text));
    std::process::exit(i32::from(written.is_err()))
}

/// Returns whether `map` of this process's user namespace contains `id`.
fn exists(map: &str, id: u32) -> Result<bool> {
    let text =
        fs::read_to_string(Path::new("/proc/self").join(map)).context("/proc cannot be read")?;
    Ok(text.lines().any(|line| {
        let mut fields = line
            .split_whitespace()
            .filter_map(|field| field.parse::<u64>().ok());
        match (fields.next(), fields.nth(1)) {
            (Some(first), Some(count)) => (first..first + count).contains(&u64::from(id)),
            _ => false,
        }
    }))
}

/// Mounts /proc. A failure is only a note, because not every machine allows it and most programs
/// work without.
fn mount_proc(report: &mut Report) -> Result<()> {
    fs::create_dir_all("/proc")?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    if let Err(errno) = mount(Some("proc"), "/proc", Some("proc"), flags, NOTHING) {
        report.notes.push(format!(
            "there is no /proc: it cannot be mounted here ({})",
            errno.desc()
        ));
    }
    Ok(())
}

fn make_devices() -> Result<()> {
    let dev = Path::new("/dev");
    fs::create_dir_all(dev)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    mount(Some("dev"), dev, Some("tmpfs"), flags, Some("mode=755"))?;
    for device in DEVICES.map(|name| dev.join(name)) {
        let outside = mounts::old(&device);
        if outside.exists() {
            File::create(&device)?;
            mount(Some(&outside), &device, NOTHING, MsFlags::MS_BIND, NOTHING)?;
        }
    }
    for (name, target) in DEVICE_LINKS {
        symlink(target, dev.join(name))?;
    }
    fs::create_dir(dev.join("shm"))?;
    Ok(fs::set_permissions(
        dev.join("shm"),
        Permissions::from_mode(0o1777),
    )?)
}
