//! The folder of one running sandbox, and removing those whose owner died.
//!
//! `<run_dir>/<instance>.lock` is held with `flock(2)` while the service lives, and
//! `<run_dir>/<instance>/` holds its files. The kernel releases the lock however the owner ends,
//! so a lock that can be taken marks leftovers.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::fcntl::{Flock, FlockArg};
use nix::unistd::{AccessFlags, eaccess};

const LOCK_SUFFIX: &str = "lock";

/// The folder of one sandbox. Dropping it removes the files.
#[derive(Debug)]
pub(crate) struct RunDir {
    name: String,
    path: PathBuf,
    lock_path: PathBuf,
    _lock: Flock<File>,
}

impl RunDir {
    /// Makes a new folder in `run_dir`, which is created for this user alone if it is missing.
    pub(crate) fn create(run_dir: &Path) -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        make_private_dir(run_dir)?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("roma-{}-{}-{number}", std::process::id(), start_tag());
        let lock_path = run_dir.join(&name).with_extension(LOCK_SUFFIX);
        let lock = lock_new(&lock_path)?;
        let path = run_dir.join(&name);
        // From here on dropping it removes whatever exists of it.
        let instance = Self {
            name,
            path,
            lock_path,
            _lock: lock,
        };
        DirBuilder::new().mode(0o700).create(&instance.path)?;
        Ok(instance)
    }

    /// Returns a name that no other sandbox on the machine has.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the folder of a log that outlives the service; it is not removed.
    pub(crate) fn debug_log(&self) -> PathBuf {
        self.path.with_extension("debug")
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        // A failure leaves a folder that the next start removes, because the lock is released.
        let _ = fs::remove_dir_all(&self.path);
        let _ = fs::remove_file(&self.lock_path);
    }
}

/// Removes the folders of services whose process is gone. Calls `end_container` for each folder first,
/// to end what may still run in it. Returns the number of folders.
pub(crate) fn clear_stale(run_dir: &Path, end_container: impl Fn(&Path, &str)) -> usize {
    let Ok(entries) = fs::read_dir(run_dir) else {
        return 0;
    };
    let mut cleared = 0;
    for entry in entries.flatten() {
        let lock_path = entry.path();
        if lock_path.extension().is_none_or(|e| e != LOCK_SUFFIX) {
            continue;
        }
        let Ok(Some(_lock)) = try_lock(&lock_path) else {
            continue;
        };
        let path = lock_path.with_extension("");
        if let Some(name) = path.file_name().and_then(|n| n.to_str()) {
            end_container(&path, name);
        }
        let _ = fs::remove_dir_all(&path);
        let _ = fs::remove_file(&lock_path);
        cleared += 1;
    }
    cleared
}

/// Checks that services can keep their files in `dir`, which is created if it is missing.
pub(crate) fn check(dir: &Path) -> io::Result<()> {
    make_private_dir(dir)?;
    Ok(eaccess(dir, AccessFlags::W_OK | AccessFlags::X_OK)?)
}

/// Creates `dir` with mode 0700, or refuses one that another user could change.
fn make_private_dir(dir: &Path) -> io::Result<()> {
    match DirBuilder::new().recursive(true).mode(0o700).create(dir) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        Err(e) => return Err(e),
    }
    let meta = fs::symlink_metadata(dir)?;
    let ours = meta.is_dir() && meta.uid() == nix::unistd::geteuid().as_raw();
    if ours && meta.permissions().mode() & 0o022 == 0 {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!(
            "{} must be a folder that only its owner, this user, can write to",
            dir.display()
        ),
    ))
}

fn lock_new(path: &Path) -> io::Result<Flock<File>> {
    loop {
        if let Some(lock) = try_lock(path)? {
            return Ok(lock);
        }
    }
}

/// Takes the lock, unless its owner lives. Returns `None` as well if another process removed the file
/// between opening and locking it.
fn try_lock(path: &Path) -> io::Result<Option<Flock<File>>> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .custom_flags(nix::libc::O_NOFOLLOW)
        .open(path)?;
    let lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => lock,
        Err((_, nix::errno::Errno::EWOULDBLOCK)) => return Ok(None),
        Err((_, errno)) => return Err(errno.into()),
    };
    let linked = lock.metadata()?.nlink() > 0;
    Ok(linked.then_some(lock))
}

/// Returns the start time of this process in clock ticks, which tells it from an earlier one with the
/// same id.
fn start_tag() -> String {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    after_name
        .split_whitespace()
        .nth(19)
        .unwrap_or("0")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn a_live_instance_is_never_stale() {
        let root = scratch();
        let run_dir = root.path().join("run");
        let one = RunDir::create(&run_dir).unwrap();
        let two = RunDir::create(&run_dir).unwrap();
        assert_ne!(one.name(), two.name());
        assert_eq!(clear_stale(&run_dir, |_, _| panic!("both are alive")), 0);
        assert!(one.path().is_dir());
    }

    #[test]
    fn dropping_removes_the_files() {
        let root = scratch();
        let run_dir = root.path().join("run");
        let instance = RunDir::create(&run_dir).unwrap();
        fs::write(instance.path().join("file"), "x").unwrap();
        drop(instance);
        assert_eq!(fs::read_dir(&run_dir).unwrap().count(), 0);
    }

    #[test]
    fn leftovers_of_a_dead_owner_are_removed() {
        let root = scratch();
        let dead = root.path().join("roma-1-2-3");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.with_extension("lock"), "").unwrap();
        let ended = std::sync::Mutex::new(Vec::new());
        let count = clear_stale(root.path(), |_, name| {
            ended.lock().unwrap().push(name.to_owned())
        });
        assert_eq!(count, 1);
        assert_eq!(*ended.lock().unwrap(), ["roma-1-2-3"]);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_others_can_write_to_is_refused() {
        let root = scratch();
        let open = root.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        let error = RunDir::create(&open).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }
}
