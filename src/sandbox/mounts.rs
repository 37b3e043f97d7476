//! A pool's root: a file system in memory that holds the binary and only what the load asks for.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{chdir, pivot_root};

use crate::guard::{Guard, is_enabled};
use crate::step::errno_of;

/// Path of the old root while the new one is being filled.
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

/// Mounts an empty file system of at most `bytes` over an existing folder, which it returns.
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

/// Makes `staging` the root. The old root stays reachable for [`bind_read_only`] and [`old`]
/// until [`detach_old_root`].
pub fn pivot_into(staging: &Path) -> Result<(), Errno> {
    let old = staging.join(&OLD_ROOT[1..]);
    fs::create_dir(&old).map_err(|error| errno_of(&error))?;
    pivot_root(staging, &old)?;
    chdir("/")
}

/// Returns the present path of what was at `path` in the old root.
#[must_use]
pub fn old(path: &Path) -> PathBuf {
    Path::new(OLD_ROOT).join(path.strip_prefix("/").unwrap_or(path))
}

/// Mounts a folder or file of the old root, `source`, at `target`, read-only. `source` must have been
/// resolved in the old root, so that it contains no symbolic link.
pub fn bind_read_only(source: &Path, target: &Path) -> Result<(), Errno> {
    let source = old(source);
    create_mount_point(&source, target).map_err(|error| errno_of(&error))?;
    mount(Some(&source), target, NOTHING, MsFlags::MS_BIND, NOTHING)?;
    remount_read_only(target)
}

/// Unmounts the old root, so that it can no longer be reached.
pub fn detach_old_root() -> Result<(), Errno> {
    if !is_enabled(Guard::DetachedRoot) {
        return Ok(());
    }
    umount2(OLD_ROOT, MntFlags::MNT_DETACH)?;
    fs::remove_dir(OLD_ROOT).map_err(|error| errno_of(&error))
}

/// Makes the mount at `target` read-only.
pub fn remount_read_only(target: &Path) -> Result<(), Errno> {
    let mut flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | mount_flags();
    flags.set(MsFlags::MS_RDONLY, is_enabled(Guard::ReadOnlyRoot));
    mount(NOTHING, target, NOTHING, flags, NOTHING)
}

/// Set-user-id programs and devices have no effect on these mounts.
fn mount_flags() -> MsFlags {
    if is_enabled(Guard::MountFlags) {
        MsFlags::MS_NOSUID | MsFlags::MS_NODEV
    } else {
        MsFlags::empty()
    }
}

/// Returns the options for mounting a worker's private `/tmp` of at most `bytes` at `target`. Files cost
/// memory beside their bytes, so their number is capped as well if the kernel supports it (gVisor does
/// not).
#[must_use]
pub fn tmp_options(target: &Path, bytes: u64) -> String {
    if !is_enabled(Guard::TmpSize) {
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

// Any existing folder will do: it is covered only until pivot_root.
fn staging_folder() -> Result<&'static Path, Errno> {
    ["/tmp", "/mnt", "/proc", "/sys", "/dev"]
        .into_iter()
        .map(Path::new)
        .find(|path| path.is_dir())
        .ok_or(Errno::ENOENT)
}

fn create_mount_point(source: &Path, target: &Path) -> std::io::Result<()> {
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
