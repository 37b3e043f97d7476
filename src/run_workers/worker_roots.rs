//! The roots of workers. No two live workers share one: a file that both could lock, watch, lease or wait
//! on would let them communicate.
//!
//! A root is made when the first worker needs it and used again when that worker is gone, so a pool has as
//! many as it had live workers at once. Making one takes privileges that a spawner gives up: the first
//! process of the pool keeps them and makes roots for its spawners.

use std::ffi::{CStr, CString};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Seek};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{read, write};
use roma_protocol::control::Load;
use roma_sandbox::guard::{Guard, is_enabled};
use roma_sandbox::mounts;
use roma_sandbox::step::errno_of;

use crate::root::EMPTY;

/// Where the binary is received.
pub(crate) const PROGRAM: &str = "/writable/program";
/// The file system of the roots, and the same without a way to change it.
const WRITABLE: &str = "/writable";
const READ_ONLY: &str = "/roots";
/// Room in a root beside the binary, for folders and mount points.
const ROOT_BYTES: u64 = 64 << 10;
const SLACK_BYTES: u64 = 1 << 20;

/// Mounts the file system of the roots.
pub(crate) fn mount(load: &Load) -> Result<(), Errno> {
    let roots = u64::from(load.roots) * u64::from(load.spawners);
    let bytes = roots.saturating_mul(load.binary_bytes.saturating_add(ROOT_BYTES));
    mounts::mount_roots(
        bytes.saturating_add(SLACK_BYTES),
        Path::new(WRITABLE),
        Path::new(READ_ONLY),
    )
}

/// A folder or file that workers may read.
pub(crate) struct Library {
    /// Where the pool has it.
    pub(crate) source: PathBuf,
    /// Where workers see it.
    pub(crate) target: PathBuf,
}

/// Makes roots, in the first process of a pool.
pub(crate) struct RootMaker {
    program: File,
    /// Whether the received file itself is still to become the program of a root.
    unused: bool,
    folders: Vec<&'static str>,
    libraries: Vec<Library>,
    /// Whether each root has views of the libraries of its own.
    views: bool,
}

impl RootMaker {
    pub(crate) fn new(load: &Load, libraries: Vec<Library>, views: bool) -> Result<Self, Errno> {
        let wanted = [("tmp", load.tmp_bytes.is_some()), ("proc", load.proc)];
        Ok(Self {
            program: File::open(PROGRAM).map_err(|error| errno_of(&error))?,
            unused: true,
            folders: wanted
                .into_iter()
                .filter_map(|(name, wanted)| wanted.then_some(name))
                .collect(),
            libraries,
            views,
        })
    }

    /// Makes a root whenever a spawner asks for one, until the first spawner is gone: then the pool ends.
    pub(crate) fn serve(mut self, spawners: Vec<OwnedFd>) -> ExitCode {
        let mut spawners: Vec<_> = spawners.into_iter().enumerate().collect();
        while spawners.first().is_some_and(|(index, _)| *index == 0) {
            let mut watched: Vec<_> = spawners
                .iter()
                .map(|(_, spawner)| PollFd::new(spawner.as_fd(), PollFlags::POLLIN))
                .collect();
            match poll(&mut watched, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => return ExitCode::FAILURE,
            }
            let ready: Vec<_> = watched
                .iter()
                .map(|watched| watched.any().unwrap_or(false))
                .collect();
            let mut ready = ready.into_iter();
            spawners.retain(|(index, spawner)| {
                !ready.next().unwrap_or(false) || self.answer(spawner, *index).unwrap_or(false)
            });
        }
        ExitCode::SUCCESS
    }

    /// Answers one request. Returns whether the spawner is still there.
    fn answer(&mut self, spawner: &OwnedFd, index: usize) -> Result<bool, Errno> {
        let mut number = [0; 4];
        match read(spawner, &mut number) {
            Ok(0) | Err(Errno::ECONNRESET) => return Ok(false),
            Ok(4) => {}
            Ok(_) => return Err(Errno::EPROTO),
            Err(Errno::EINTR) => return Ok(true),
            Err(errno) => return Err(errno),
        }
        let made = self.make(&name_of(index as u32, u32::from_ne_bytes(number)));
        let errno = made.err().map_or(0, |errno| errno as i32);
        match write(spawner, &errno.to_ne_bytes()) {
            Ok(_) => Ok(true),
            Err(Errno::EPIPE) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    /// Makes a root, or leaves nothing of it: the spawner may ask again.
    fn make(&mut self, name: &str) -> Result<(), Errno> {
        let root = Path::new(WRITABLE).join(name);
        let seen = Path::new(READ_ONLY).join(name);
        let made = self.fill(&root, &seen);
        if made.is_err() {
            for Library { target, .. } in self.libraries.iter().rev() {
                let _ = mounts::unmount(&seen.join(below_root(target)));
            }
            let _ = fs::remove_dir_all(&root);
        }
        made
    }

    fn fill(&mut self, root: &Path, seen: &Path) -> Result<(), Errno> {
        make_folder(root, 0o755)?;
        self.place_program(&root.join("udf"))?;
        for folder in &self.folders {
            make_folder(&root.join(folder), 0o555)?;
        }
        for Library { source, target } in &self.libraries {
            let below = below_root(target);
            mounts::create_mount_point(source, &root.join(below))?;
            let target = seen.join(below);
            if self.views {
                mounts::view_read_only(source, &target, Path::new(EMPTY))?;
            } else {
                mounts::bind_read_only(source, &target)?;
            }
        }
        Ok(())
    }

    fn place_program(&mut self, path: &Path) -> Result<(), Errno> {
        let first = std::mem::take(&mut self.unused);
        let placed = if first {
            fs::rename(PROGRAM, path)
        } else {
            copy(&mut self.program, path)
        };
        placed.map_err(|error| errno_of(&error))
    }
}

fn copy(program: &mut File, path: &Path) -> io::Result<()> {
    let mut copy = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o555)
        .open(path)?;
    program.rewind()?;
    io::copy(program, &mut copy).map(drop)
}

fn below_root(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

/// Makes a folder.
pub(crate) fn make_folder(path: &Path, mode: u32) -> Result<(), Errno> {
    let made = DirBuilder::new().mode(mode).create(path);
    made.map_err(|error| errno_of(&error))
}

fn name_of(spawner: u32, number: u32) -> String {
    format!("{spawner}-{number}")
}

/// The roots of one spawner's workers.
pub(crate) struct Roots {
    maker: OwnedFd,
    spawner: u32,
    most: u32,
    made: Vec<CString>,
}

impl Roots {
    /// `maker` is the connection to the first process of the pool, and `most` how many roots there may be.
    pub(crate) fn new(maker: OwnedFd, spawner: u32, most: u32) -> Self {
        Self {
            maker,
            spawner,
            most: if is_enabled(Guard::OwnRoot) { most } else { 1 },
            made: Vec::new(),
        }
    }

    /// Returns the path of the root of a slot, which is made if there is none yet. Slots are numbered from
    /// 0; those beyond the number of roots share them.
    pub(crate) fn of_slot(&mut self, slot: u32) -> Result<&CStr, Errno> {
        let number = (slot % self.most) as usize;
        while self.made.len() <= number {
            self.make_next()?;
        }
        Ok(&self.made[number])
    }

    fn make_next(&mut self) -> Result<(), Errno> {
        let number = self.made.len() as u32;
        write(&self.maker, &number.to_ne_bytes())?;
        let mut errno = [0; 4];
        loop {
            match read(&self.maker, &mut errno) {
                Ok(4) => break,
                Ok(_) => return Err(Errno::EPIPE),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        match i32::from_ne_bytes(errno) {
            0 => {
                let path = format!("{READ_ONLY}/{}", name_of(self.spawner, number));
                self.made
                    .push(CString::new(path).map_err(|_| Errno::EINVAL)?);
                Ok(())
            }
            errno => Err(Errno::from_raw(errno)),
        }
    }
}
