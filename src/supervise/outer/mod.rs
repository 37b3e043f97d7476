//! The process of an outer sandbox: starting it, and ending it with all that runs in it.

mod direct;
mod gvisor;

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use roma_core::ExitStatus;
use roma_io::stream::pipe;

use crate::log_capture::LogCapture;
use crate::memory;
use crate::options::{LibraryMount, Mode, Platform};
use crate::programs::Runsc;
use crate::renewal::Renewal;
use crate::run_dir::RunDir;
use gvisor::Container;

pub(crate) use gvisor::end_container;

/// How much of the output of a sandbox is kept for errors.
const LOG_BYTES: usize = 16 * 1024;
/// How often to check whether an ending process is gone.
const POLL: Duration = Duration::from_millis(2);

/// The configuration of an outer sandbox, resolved.
#[derive(Debug, Clone)]
pub struct OuterConfig {
    /// What encloses the engine.
    pub mode: Mode,
    /// gVisor's platform.
    pub platform: Platform,
    /// The folder for the files of the service.
    pub run_dir: PathBuf,
    /// The program that runs inside.
    pub run_workers: PathBuf,
    /// gVisor's program.
    pub runsc: Runsc,
    /// Folders that UDFs may read.
    pub libraries: Vec<LibraryMount>,
    /// A bound on the address space of gVisor, in bytes.
    pub memory: Option<u64>,
    /// How long a process inside may fail to answer before it is replaced.
    pub watchdog: Duration,
    /// When a sandbox that works is replaced.
    pub renewal: Renewal,
}

impl OuterConfig {
    /// Returns where `run_workers` finds a library folder of the host.
    pub(crate) fn source_inside(&self, index: usize) -> PathBuf {
        match self.mode.is_gvisor() {
            true => gvisor::library_inside(index),
            false => self.libraries[index].source.clone(),
        }
    }
}

/// A running outer sandbox. It ends by itself when the control connection is closed, and is killed when
/// this is dropped.
#[derive(Debug)]
pub struct Outer {
    child: Child,
    container: Option<Container>,
    log: LogCapture,
    /// How many processes had been ended for want of memory when it started.
    kills_before: u64,
    _instance: RunDir,
}

/// How an outer sandbox ended.
#[derive(Debug)]
pub struct Ended {
    /// How its process ended.
    pub exit: Option<ExitStatus>,
    /// The kernel ended it because memory ran out.
    pub out_of_memory: bool,
}

impl Outer {
    /// Starts `run_workers` in its sandbox, with `control` as its standard input.
    ///
    /// # Errors
    ///
    /// The error of the failing system call.
    pub fn launch(config: &OuterConfig, control: OwnedFd) -> io::Result<Self> {
        let instance = RunDir::create(&config.run_dir)?;
        let (mut command, container) = match config.mode.is_gvisor() {
            true => gvisor::prepare(config, &instance)?,
            false => (direct::command(config), None),
        };
        let (ours, theirs) = pipe()?;
        let kills_before = memory::kills();
        let start = match config.mode.is_gvisor() {
            true => gvisor::start,
            false => Command::spawn,
        };
        let child = spawn(&mut command, start, control, theirs)?;
        let log = LogCapture::start(ours, LOG_BYTES)?;
        Ok(Self {
            child,
            container,
            log,
            kills_before,
            _instance: instance,
        })
    }

    /// Returns the id of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns how its process ended, if it has.
    pub(crate) fn exit_status(&mut self) -> Option<ExitStatus> {
        use std::os::unix::process::ExitStatusExt;
        let status = self.child.try_wait().ok()??;
        Some(ExitStatus::from_wait_status(status.into_raw()))
    }

    /// Returns its output.
    pub(crate) fn log(&self) -> LogCapture {
        self.log.clone()
    }

    /// Returns the end of its output.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.log.tail().text
    }

    /// Waits until it has ended by itself, and kills it after `patience`. Blocks.
    pub fn end(mut self, patience: Duration) -> Ended {
        self.wait(patience);
        // Before it is killed, which looks the same.
        let exit = self.exit_status();
        let out_of_memory = memory::ended(exit, || memory::kills() > self.kills_before);
        self.force();
        Ended {
            exit: self.exit_status(),
            out_of_memory,
        }
    }

    /// Blocks for up to `patience` until it has ended by itself.
    pub(crate) fn wait(&mut self, patience: Duration) {
        let until = Instant::now() + patience;
        while self.exit_status().is_none() && Instant::now() < until {
            std::thread::sleep(POLL);
        }
    }

    fn force(&mut self) {
        if let Some(container) = self.container.take() {
            container.end();
        }
        if self.exit_status().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Drop for Outer {
    fn drop(&mut self) {
        self.force();
    }
}

fn spawn(
    command: &mut Command,
    start: fn(&mut Command) -> io::Result<Child>,
    control: OwnedFd,
    log: OwnedFd,
) -> io::Result<Child> {
    let errors = log.try_clone()?;
    command
        .env_clear()
        // Ctrl-C in the host's terminal is for the host, which may want to finish requests in flight.
        .process_group(0)
        .stdin(control)
        .stdout(log)
        .stderr(errors);
    let child = start(command);
    // The command holds copies of its descriptors, which would keep both connections open.
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    child
}
