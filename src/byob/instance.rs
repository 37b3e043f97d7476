//! The folder of one running service, and the clearing away of those whose owner died.
//!
//! `<run_dir>/<instance>.lock` is held with `flock(2)` for as long as the service lives, and
//! `<run_dir>/<instance>/` holds its files. The kernel lets go of the lock however the owner ends,
//! so a lock that can be taken marks leftovers.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::fcntl::{Flock, FlockArg};
use nix::unistd::{AccessFlags, eaccess};

const LOCK_SUFFIX: &str = "lock";

/// The folder of one service; dropped, it takes its files with it.
#[derive(Debug)]
pub(crate) struct InstanceDir {
    name: String,
    path: PathBuf,
    lock_path: PathBuf,
    _lock: Flock<File>,
}

impl InstanceDir {
    /// Makes a new folder in `run_dir`, which is created for this user alone if it is missing.
    pub(crate) fn create(run_dir: &Path) -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        make_private_dir(run_dir)?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("roma-{}-{}-{number}", std::process::id(), start_tag());
        let lock_path = run_dir.join(&name).with_extension(LOCK_SUFFIX);
        let lock = lock_new(&lock_path)?;
        let path = run_dir.join(&name);
        // From here on it takes with it what there is of it, however far it gets.
        let instance = Self {
            name,
            path,
            lock_path,
            _lock: lock,
        };
        DirBuilder::new().mode(0o700).create(&instance.path)?;
        Ok(instance)
    }

    /// A name that no other service on the machine has.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where a log goes that is read when the service is gone: nobody here removes it.
    pub(crate) fn debug_log(&self) -> PathBuf {
        self.path.with_extension("debug")
    }
}

impl Drop for InstanceDir {
    fn drop(&mut self) {
        // A failure leaves a folder that the next start clears away, because the lock is let go.
        let _ = fs::remove_dir_all(&self.path);
        let _ = fs::remove_file(&self.lock_path);
    }
}

/// Removes what services left behind whose process is gone. `end_container` gets the folder of
/// each before its files go, to end what may still run in it. Returns how many were found.
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

/// Where instance folders go unless the integrator says otherwise.
pub(crate) fn default_run_dir() -> PathBuf {
    if let Some(dir) = std::env::var_os("XDG_RUNTIME_DIR").filter(|d| !d.is_empty()) {
        return Path::new(&dir).join("roma");
    }
    let uid = nix::unistd::geteuid();
    if uid.is_root() && Path::new("/run").is_dir() {
        return PathBuf::from("/run/roma");
    }
    std::env::temp_dir().join(format!("roma-{uid}"))
}

/// Whether services may keep their files in `dir`, which is made if it is missing.
pub(crate) fn check_run_dir(dir: &Path) -> io::Result<()> {
    make_private_dir(dir)?;
    Ok(eaccess(dir, AccessFlags::W_OK | AccessFlags::X_OK)?)
}

/// Creates `dir` with mode 0700, or refuses one that another user could tamper with.
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

/// Takes the lock, unless its owner lives. `None` also when another process that is clearing away
/// unlinked the file between its opening and its locking.
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

/// Tells this process from an earlier one with the same id: its start time in clock ticks.
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
        let one = InstanceDir::create(&run_dir).unwrap();
        let two = InstanceDir::create(&run_dir).unwrap();
        assert_ne!(one.name(), two.name());
        assert_eq!(clear_stale(&run_dir, |_, _| panic!("both are alive")), 0);
        assert!(one.path().is_dir());
    }

    #[test]
    fn dropping_leaves_nothing() {
        let root = scratch();
        let run_dir = root.path().join("run");
        let instance = InstanceDir::create(&run_dir).unwrap();
        fs::write(instance.path().join("file"), "x").unwrap();
        drop(instance);
        assert_eq!(fs::read_dir(&run_dir).unwrap().count(), 0);
    }

    #[test]
    fn leftovers_of_a_dead_owner_go() {
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
    fn a_folder_open_to_others_is_refused() {
        let root = scratch();
        let open = root.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        let error = InstanceDir::create(&open).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }
}
