//! Creating a pool's root, once.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use roma_protocol::control::{LibraryMount, Load};
use roma_sandbox::mounts;
use roma_sandbox::step::{self, Step, StepFailure, errno_of};

use crate::receive_code;

/// Room in the root beside the binary, for folders and mount points.
const SLACK_BYTES: u64 = 1 << 20;

/// What the spawners need of the root's creation.
pub(crate) struct Root {
    /// `/dev/null`, which has no name in the new root.
    pub(crate) null: OwnedFd,
    /// Options for mounting `/tmp` in each worker, if the load asks for it.
    pub(crate) tmp_options: Option<String>,
    /// How long receiving the binary took.
    pub(crate) receive_time: Duration,
}

/// Creates the root and moves this process into it.
pub(crate) fn create(load: &Load, connection: OwnedFd) -> Result<Root, StepFailure> {
    let libraries = step::run(Step::MountLibrary, || resolve(&load.libraries))?;
    step::run(Step::PrivateMounts, mounts::make_private)?;
    let staging = step::run(Step::MountRoot, || {
        mounts::mount_root(load.binary_bytes + SLACK_BYTES)
    })?;
    step::run(Step::PivotRoot, || mounts::pivot_into(staging))?;
    let begun = Instant::now();
    receive_code::receive(connection, load, program())?;
    let receive_time = begun.elapsed();
    for (source, target) in &libraries {
        step::run(Step::MountLibrary, || {
            mounts::bind_read_only(source, target)
        })?;
    }
    let null = step::run(Step::OpenNull, open_null)?;
    step::run(Step::MakeMountPoints, || make_mount_points(load))?;
    let tmp_options = load
        .tmp_bytes
        .map(|bytes| mounts::tmp_options(Path::new("/tmp"), bytes));
    step::run(Step::PivotRoot, mounts::detach_old_root)?;
    step::run(Step::SealRoot, || mounts::remount_read_only(Path::new("/")))?;
    Ok(Root {
        null,
        tmp_options,
        receive_time,
    })
}

fn program() -> &'static Path {
    Path::new(OsStr::from_bytes(roma_sandbox::launch::PROGRAM.to_bytes()))
}

/// Resolves symbolic links while the old root is still the root.
fn resolve(libraries: &[LibraryMount]) -> Result<Vec<(PathBuf, PathBuf)>, Errno> {
    let path = |bytes: &[u8]| PathBuf::from(OsStr::from_bytes(bytes));
    libraries
        .iter()
        .map(|mount| {
            let source = fs::canonicalize(path(&mount.source)).map_err(|error| errno_of(&error))?;
            Ok((source, path(&mount.target)))
        })
        .collect()
}

fn open_null() -> Result<OwnedFd, Errno> {
    let path = mounts::old(Path::new("/dev/null"));
    let file = OpenOptions::new().read(true).write(true).open(path);
    file.map(OwnedFd::from).map_err(|error| errno_of(&error))
}

fn make_mount_points(load: &Load) -> Result<(), Errno> {
    let wanted = [("/tmp", load.tmp_bytes.is_some()), ("/proc", load.proc)];
    for (path, _) in wanted.into_iter().filter(|(_, wanted)| *wanted) {
        DirBuilder::new()
            .mode(0o555)
            .create(path)
            .map_err(|error| errno_of(&error))?;
    }
    Ok(())
}
