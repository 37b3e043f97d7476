//! The outer sandbox's process: starting it, and ending it with all that runs in it.

mod direct;
mod gvisor;

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) use gvisor::{Container, end_container};

use crate::config::{LibraryMount, Mode, Platform};
use crate::exit::ExitStatus;
use crate::instance::InstanceDir;
use crate::log_capture::{LogCapture, log_pipe};

/// How much of what the sandbox prints is kept for errors.
const LOG_BYTES: usize = 16 * 1024;
/// How often an ending process is looked at.
const POLL: Duration = Duration::from_millis(2);

/// What an outer sandbox is made of.
#[derive(Debug, Clone)]
pub(crate) struct OuterConfig {
    pub(crate) mode: Mode,
    pub(crate) platform: Platform,
    pub(crate) run_dir: PathBuf,
    pub(crate) run_workers: PathBuf,
    /// Only for the modes with gVisor.
    pub(crate) runsc: PathBuf,
    pub(crate) libraries: Vec<LibraryMount>,
    pub(crate) memory: Option<u64>,
    /// How long whoever is inside may be silent.
    pub(crate) silence: Duration,
}

impl OuterConfig {
    /// Where `run_workers` finds a library folder of the host.
    pub(crate) fn source_inside(&self, index: usize) -> PathBuf {
        match self.mode.is_gvisor() {
            true => gvisor::library_inside(index),
            false => self.libraries[index].source.clone(),
        }
    }
}

/// A running outer sandbox. It ends by itself when the control connection is closed; dropped, it is
/// made to.
#[derive(Debug)]
pub struct Outer {
    child: Child,
    container: Option<Container>,
    log: LogCapture,
    _instance: InstanceDir,
}

impl Outer {
    /// Starts `run_workers` in its sandbox, with `control` as its standard input.
    pub(crate) fn launch(config: &OuterConfig, control: OwnedFd) -> io::Result<Self> {
        let instance = InstanceDir::create(&config.run_dir)?;
        let (mut command, container) = match config.mode.is_gvisor() {
            true => gvisor::prepare(config, &instance)?,
            false => (direct::command(config), None),
        };
        let (ours, theirs) = log_pipe()?;
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
            _instance: instance,
        })
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How its process ended, if it has.
    pub(crate) fn exit_status(&mut self) -> Option<ExitStatus> {
        use std::os::unix::process::ExitStatusExt;
        let status = self.child.try_wait().ok()??;
        Some(ExitStatus::from_wait_status(status.into_raw()))
    }

    /// What it prints.
    pub(crate) fn log(&self) -> LogCapture {
        self.log.clone()
    }

    /// The end of what it printed.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.log.tail().text
    }

    /// Waits until it has ended by itself, and makes it end after `patience`. Blocks so long.
    pub(crate) fn end(mut self, patience: Duration) -> Option<ExitStatus> {
        self.wait(patience);
        self.force();
        self.exit_status()
    }

    /// Waits until it has ended by itself, at most so long. Blocks.
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
        // Ctrl-C in the host's terminal is for the host, which may want to finish what is under way.
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
