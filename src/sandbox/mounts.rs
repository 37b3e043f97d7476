//! The mounts of a pool: its own root, which only its spawners see, and those of its workers.

use std::fs;
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

/// Makes `staging` the root. The old root stays reachable through [`old`] until
/// [`detach_old_root`].
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

/// Mounts an empty file system of at most `bytes` at `writable`, and the same at `read_only`, where
/// nothing can be changed. Both folders are created.
pub fn mount_roots(bytes: u64, writable: &Path, read_only: &Path) -> Result<(), Errno> {
    let options = format!("size={bytes},mode=755");
    fs::create_dir(writable).map_err(|error| errno_of(&error))?;
    mount(
        Some("roma"),
        writable,
        Some("tmpfs"),
        mount_flags(),
        Some(options.as_str()),
    )?;
    fs::create_dir(read_only).map_err(|error| errno_of(&error))?;
    bind_read_only(writable, read_only)
}

/// Mounts the folder or file `source` at `target`, which exists, read-only. `source` must not contain a
/// symbolic link.
pub fn bind_read_only(source: &Path, target: &Path) -> Result<(), Errno> {
    mount(Some(source), target, NOTHING, MsFlags::MS_BIND, NOTHING)?;
    remount_read_only(target)
}

/// Mounts a view of the folder `source` at `target`, read-only, whose files are not the same files as
/// those of another view: those who lock, watch or, in gVisor, wait do not meet. `empty` is an empty
/// folder.
pub fn view_read_only(source: &Path, target: &Path, empty: &Path) -> Result<(), Errno> {
    let layers = format!("lowerdir={}:{}", source.display(), empty.display());
    let flags = mount_flags() | MsFlags::MS_RDONLY;
    mount(
        Some("roma"),
        target,
        Some("overlay"),
        flags,
        Some(layers.as_str()),
    )
}

/// Returns whether `source` is a folder of which the kernel can make views. `empty` is an empty folder,
/// which one is mounted on for a moment.
#[must_use]
pub fn can_view(source: &Path, empty: &Path) -> bool {
    source.is_dir() && view_read_only(source, empty, empty).is_ok() && unmount(empty).is_ok()
}

/// Unmounts what is mounted at `target`, at once or when it is not in use any more.
pub fn unmount(target: &Path) -> Result<(), Errno> {
    umount2(target, MntFlags::MNT_DETACH)
}

/// Creates what `source` is to be mounted on.
pub fn create_mount_point(source: &Path, target: &Path) -> Result<(), Errno> {
    let create = || {
        if source.is_dir() {
            return fs::create_dir_all(target);
        }
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::File::create_new(target).map(drop)
    };
    create().map_err(|error| errno_of(&error))
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

/// Returns the options for mounting a worker's `/proc`, which `target` is used to try out: it shows
/// processes only, and nothing of the machine, if the kernel supports that (gVisor does not, and shows
/// nothing of the machine anyway).
#[must_use]
pub fn proc_options(target: &Path) -> String {
    let own = "subset=pid";
    let flags = MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    match mount(Some("roma"), target, Some("proc"), flags, Some(own)) {
        Ok(()) if unmount(target).is_ok() => own.to_owned(),
        _ => String::new(),
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
        Ok(()) if unmount(target).is_ok() => capped,
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
