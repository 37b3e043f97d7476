//! Creating a pool's root, once. Its spawners live in it; each worker has a root of its own below
//! ([`crate::worker_roots`]).

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use roma_protocol::control::{LibraryMount, Load};
use roma_sandbox::mounts;
use roma_sandbox::step::{self, Step, StepFailure, errno_of};

use crate::receive_code;
use crate::worker_roots::{self, Library, RootMaker};

/// Room in the root, which holds only folders.
const ROOT_BYTES: u64 = 1 << 20;
/// Where the libraries are, for the roots of workers to show.
const LIBRARIES: &str = "/libraries";
/// A folder that stays empty.
pub(crate) const EMPTY: &str = "/empty";

/// What the spawners need of the root's creation.
pub(crate) struct Root {
    /// `/dev/null`, which has no name in the new root.
    pub(crate) null: OwnedFd,
    /// Options for mounting `/tmp` in each worker, if the load asks for it.
    pub(crate) tmp_options: Option<String>,
    /// Options for mounting `/proc` in each worker, if the load asks for it.
    pub(crate) proc_options: Option<String>,
    /// Whether no two live workers share a library.
    pub(crate) own_libraries: bool,
    /// How long receiving the binary took.
    pub(crate) receive_time: Duration,
    /// Makes the roots of the workers.
    pub(crate) maker: RootMaker,
}

/// Creates the root and moves this process into it.
pub(crate) fn create(
    load: &Load,
    connection: OwnedFd,
    isolated: bool,
) -> Result<Root, StepFailure> {
    let sources = step::run(Step::MountLibrary, || resolve(&load.libraries))?;
    step::run(Step::PrivateMounts, mounts::make_private)?;
    let staging = step::run(Step::MountRoot, || mounts::mount_root(ROOT_BYTES))?;
    step::run(Step::PivotRoot, || mounts::pivot_into(staging))?;
    step::run(Step::MountRoots, || worker_roots::mount(load))?;
    let begun = Instant::now();
    receive_code::receive(connection, load, Path::new(worker_roots::PROGRAM))?;
    let receive_time = begun.elapsed();
    let libraries = step::run(Step::MountLibrary, || mount_libraries(sources))?;
    let null = step::run(Step::OpenNull, open_null)?;
    step::run(Step::MountRoot, || {
        worker_roots::make_folder(Path::new(EMPTY), 0o755)
    })?;
    let tmp_options = load
        .tmp_bytes
        .map(|bytes| mounts::tmp_options(Path::new(EMPTY), bytes));
    let proc_options = load.proc.then(|| mounts::proc_options(Path::new(EMPTY)));
    // On Linux, a view of a folder does not follow changes of it, and does not keep those apart who wait on
    // its pages.
    let views = !isolated
        && libraries
            .iter()
            .all(|library| mounts::can_view(&library.source, Path::new(EMPTY)));
    let own_libraries = views || libraries.is_empty();
    let maker = step::run(Step::MountRoots, || RootMaker::new(load, libraries, views))?;
    step::run(Step::PivotRoot, mounts::detach_old_root)?;
    step::run(Step::SealRoot, || mounts::remount_read_only(Path::new("/")))?;
    Ok(Root {
        null,
        tmp_options,
        proc_options,
        own_libraries,
        receive_time,
        maker,
    })
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

fn mount_libraries(sources: Vec<(PathBuf, PathBuf)>) -> Result<Vec<Library>, Errno> {
    let mount = |(index, (source, target)): (usize, (PathBuf, PathBuf))| {
        let (old, source) = (
            mounts::old(&source),
            Path::new(LIBRARIES).join(index.to_string()),
        );
        mounts::create_mount_point(&old, &source)?;
        mounts::bind_read_only(&old, &source)?;
        Ok(Library { source, target })
    };
    sources.into_iter().enumerate().map(mount).collect()
}

fn open_null() -> Result<OwnedFd, Errno> {
    let path = mounts::old(Path::new("/dev/null"));
    let file = OpenOptions::new().read(true).write(true).open(path);
    file.map(OwnedFd::from).map_err(|error| errno_of(&error))
}
