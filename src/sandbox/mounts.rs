//! A pool's root: a file system in memory that holds the binary and nothing that was not asked for.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{chdir, pivot_root};

use crate::guard::{Guard, stands};
use crate::step::errno_of;

/// Where the old root can be reached while the new one is being filled.
const OLD_ROOT: &str = "/.old";

const NOTHING: Option<&str> = None;

/// Stops sharing mounts with any other mount namespace.
pub fn make_private() -> Result<(), Errno> {
    mount(
        NOTHING,
        "/",
        NOTHING,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        NOTHING,
    )
}

/// Mounts an empty file system of at most `bytes` over some folder, which it returns.
pub fn mount_root(bytes: u64) -> Result<&'static Path, Errno> {
    let staging = staging_folder()?;
    let options = format!("size={bytes},mode=755");
    mount(
        Some("roma"),
        staging,
        Some("tmpfs"),
        mount_flags(),
        Some(options.as_str()),
    )?;
    Ok(staging)
}

/// Makes `staging` the root. The old root stays within reach for [`bind_read_only`] and [`old`] until
/// [`detach_old_root`].
pub fn pivot_into(staging: &Path) -> Result<(), Errno> {
    let old = staging.join(&OLD_ROOT[1..]);
    fs::create_dir(&old).map_err(|error| errno_of(&error))?;
    pivot_root(staging, &old)?;
    chdir("/")
}

/// Where a path of the old root is now.
#[must_use]
pub fn old(path: &Path) -> PathBuf {
    Path::new(OLD_ROOT).join(path.strip_prefix("/").unwrap_or(path))
}

/// Shows a folder or file of the old root, `source`, at `target`, read-only. `source` must have been
/// resolved in the old root, so that no symbolic link leads elsewhere.
pub fn bind_read_only(source: &Path, target: &Path) -> Result<(), Errno> {
    let source = old(source);
    make_place(&source, target).map_err(|error| errno_of(&error))?;
    mount(Some(&source), target, NOTHING, MsFlags::MS_BIND, NOTHING)?;
    remount_read_only(target)
}

/// Takes the old root out of reach.
pub fn detach_old_root() -> Result<(), Errno> {
    if !stands(Guard::DetachedRoot) {
        return Ok(());
    }
    umount2(OLD_ROOT, MntFlags::MNT_DETACH)?;
    fs::remove_dir(OLD_ROOT).map_err(|error| errno_of(&error))
}

/// Makes what is mounted at `target` read-only.
pub fn remount_read_only(target: &Path) -> Result<(), Errno> {
    let mut flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | mount_flags();
    flags.set(MsFlags::MS_RDONLY, stands(Guard::ReadOnlyRoot));
    mount(NOTHING, target, NOTHING, flags, NOTHING)
}

/// No program of it gets rights of its owner, and no device of it works.
fn mount_flags() -> MsFlags {
    if stands(Guard::MountFlags) {
        MsFlags::MS_NOSUID | MsFlags::MS_NODEV
    } else {
        MsFlags::empty()
    }
}

/// Options for a worker's private `/tmp` of at most so many bytes, which is to be mounted at `target`.
/// Files cost memory beside their bytes, so their number is capped as well, where the kernel knows how
/// (gVisor does not).
#[must_use]
pub fn tmp_options(target: &Path, bytes: u64) -> String {
    if !stands(Guard::TmpSize) {
        return "mode=700".to_owned();
    }
    let plain = format!("size={bytes},mode=700");
    let capped = format!("{plain},nr_inodes={}", (bytes / 4096).clamp(64, 65_536));
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    match mount(
        Some("roma"),
        target,
        Some("tmpfs"),
        flags,
        Some(capped.as_str()),
    ) {
        Ok(()) if umount2(target, MntFlags::MNT_DETACH).is_ok() => capped,
        _ => plain,
    }
}

// Any existing folder does: it is covered only until pivot_root.
fn staging_folder() -> Result<&'static Path, Errno> {
    ["/tmp", "/mnt", "/proc", "/sys", "/dev"]
        .into_iter()
        .map(Path::new)
        .find(|path| path.is_dir())
        .ok_or(Errno::ENOENT)
}

fn make_place(source: &Path, target: &Path) -> std::io::Result<()> {
    if target.as_os_str().as_bytes() == b"/" {
        return Err(Errno::EINVAL.into());
    }
    if source.is_dir() {
        return fs::create_dir_all(target);
    }
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::File::create_new(target).map(drop)
}
