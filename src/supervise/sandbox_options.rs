//! What a service says about its sandboxes, and the checks of that.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use roma_core::{ConfigError, Error};
use roma_protocol::control::{MAX_LIST, MAX_STRING_BYTES};

use crate::banner;
use crate::cores::cores;
use crate::options::{LibraryMount, Mode, Platform, check_mounts};
use crate::outer::{self, OuterConfig};
use crate::platform;
use crate::programs::{Programs, Runsc};
use crate::renewal::Renewal;
use crate::run_dir;
use crate::run_dir_choice::{self, RunDirChoice};

/// A shorter watchdog would end processes that only wait for a processor.
const SHORTEST_WATCHDOG: Duration = Duration::from_secs(1);
/// The shortest life of a sandbox that is replaced for its age.
const SHORTEST_AGE: Duration = Duration::from_secs(1);
/// The largest bound on the address space of a sandbox: all addresses of a process.
const MOST_MEMORY: u64 = 1 << 47;
/// How many library mounts there may be, and how long their targets may be together, so that they fit into
/// one message with the environment and the arguments of a UDF.
const MOST_LIBRARIES: u64 = MAX_LIST as u64;
const MOST_LIBRARY_BYTES: u64 = 16 << 10;
const MOST_PATH_BYTES: u64 = MAX_STRING_BYTES as u64;
/// How many gVisor sandboxes there may be.
const SANDBOXES: RangeInclusive<u32> = 1..=64;

/// What a service says about its sandboxes. The builder of each engine offers these options under the
/// same names.
#[derive(Debug)]
pub struct SandboxOptions {
    /// What encloses the engine.
    pub mode: Mode,
    /// How gVisor intercepts system calls.
    pub platform: Platform,
    /// Folders that UDFs may read.
    pub libraries: Vec<LibraryMount>,
    /// A bound on the address space of each gVisor sandbox, in bytes: 1 to 128 TiB.
    pub memory: Option<u64>,
    /// How many gVisor sandboxes there are; by default one for each core, up to four.
    pub sandboxes: Option<u32>,
    /// How long a process inside may fail to answer before it is replaced.
    pub watchdog: Duration,
    /// When a sandbox that works is replaced.
    pub renewal: Renewal,
    /// The folder for the files of the service.
    pub run_dir: Option<PathBuf>,
    /// Where the programs are.
    pub programs: Programs,
    /// Whether `DISABLE_GVISOR` counts.
    pub obey_environment: bool,
    /// Whether a service without gVisor prints a banner on standard error.
    pub banner: bool,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            platform: Platform::default(),
            libraries: Vec::new(),
            memory: None,
            sandboxes: None,
            watchdog: Duration::from_secs(10),
            renewal: Renewal::default(),
            run_dir: None,
            programs: Programs::default(),
            obey_environment: true,
            banner: true,
        }
    }
}

impl SandboxOptions {
    /// Turns gVisor off if the environment says so.
    fn apply_environment(&mut self) {
        let value = std::env::var(banner::DISABLE_VARIABLE).ok();
        if self.obey_environment
            && self.mode.is_gvisor()
            && banner::gvisor_disabled_by(value.as_deref())
        {
            self.mode = Mode::Minimal;
            self.platform = Platform::Auto;
            self.memory = None;
            self.sandboxes = None;
        }
    }

    /// Refuses options that cannot be, alone or together.
    ///
    /// # Errors
    ///
    /// The [`ConfigError`] names the option, or both, and the reason.
    pub fn check(&self) -> Result<(), ConfigError> {
        let wrong = |option, reason| Err(ConfigError::ServiceOption { option, reason });
        if self.watchdog < SHORTEST_WATCHDOG {
            return wrong(
                "watchdog",
                "a busy machine may stop for that long by itself; allow a second or more",
            );
        }
        if self.renewal.age.is_some_and(|age| age < SHORTEST_AGE) {
            return wrong(
                "renewal.age",
                "a sandbox takes some time to start; allow a second or more",
            );
        }
        if self
            .sandboxes
            .is_some_and(|count| !SANDBOXES.contains(&count))
        {
            return wrong(
                "sandboxes",
                "there may be 1 to 64; more than there are cores gain nothing",
            );
        }
        if self.memory == Some(0) {
            return wrong("memory_limit", "no sandbox could start");
        }
        ConfigError::at_most(
            "memory_limit",
            self.memory.unwrap_or(1),
            MOST_MEMORY,
            "leave it out for no limit",
        )?;
        if !self.mode.is_gvisor() {
            self.check_without_gvisor()?;
        }
        self.check_libraries()
    }

    fn check_libraries(&self) -> Result<(), ConfigError> {
        let count = self.libraries.len() as u64;
        ConfigError::at_most(
            "library",
            count,
            MOST_LIBRARIES,
            "mount a folder that holds several",
        )?;
        let paths = self.libraries.iter().flat_map(|m| [&m.source, &m.target]);
        let lengths = paths.map(|path| path.as_os_str().len());
        let longest = lengths.clone().max().unwrap_or(0) as u64;
        ConfigError::at_most("library", longest, MOST_PATH_BYTES, "use a shorter path")?;
        ConfigError::at_most(
            "library",
            lengths.sum::<usize>() as u64,
            MOST_LIBRARY_BYTES,
            "these are the bytes of all paths; use shorter ones",
        )?;
        check_mounts(&self.libraries)
    }

    fn check_without_gvisor(&self) -> Result<(), ConfigError> {
        let given = [
            (
                "platform",
                self.platform != Platform::Auto,
                "only gVisor has platforms",
            ),
            (
                "memory_limit",
                self.memory.is_some(),
                "there is no outer sandbox to limit; use the limits of LoadOptions",
            ),
            (
                "sandboxes",
                self.sandboxes.is_some(),
                "the service makes only gVisor's sandboxes",
            ),
        ];
        match given.into_iter().find(|(_, is_given, _)| *is_given) {
            None => Ok(()),
            Some((first, _, reason)) => Err(ConfigError::Conflict {
                first,
                second: "mode without gVisor",
                reason,
            }),
        }
    }

    /// Applies the environment, checks the options, finds the programs and the run directory, removes
    /// what killed services left there, and chooses the platform. On a new machine that measures the
    /// platforms, which takes seconds.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for what is wrong or missing, [`Error::SandboxStart`] if no platform works.
    pub async fn resolve(&mut self) -> Result<OuterConfig, Error> {
        self.apply_environment();
        self.check()?;
        let mut config = self.outer_config()?;
        clear_stale(&config);
        if config.mode.is_gvisor() {
            let path = config.runsc.path.clone();
            let inspected = tokio::task::spawn_blocking(move || Runsc::inspect(&path)).await;
            config.runsc = inspected.map_err(|_| Error::Internal("reading runsc panicked"))?;
        }
        config.platform = platform::resolve(&config).await?;
        Ok(config)
    }

    /// Returns how many sandboxes there will be, once the options are resolved.
    #[must_use]
    pub fn sandbox_count(&self) -> u32 {
        match self.mode.is_gvisor() {
            true => self.sandboxes.unwrap_or_else(default_sandboxes),
            false => 1,
        }
    }

    /// Chooses the run directory, and creates it if it is missing.
    ///
    /// # Errors
    ///
    /// [`ConfigError::RunDirectory`] for a folder that was named, [`ConfigError::NoRunDirectory`] if none
    /// was named and none of the defaults can be used.
    pub fn choose_run_dir(&self) -> Result<RunDirChoice, ConfigError> {
        run_dir_choice::choose(self.run_dir.as_deref(), self.mode.is_gvisor())
    }

    fn outer_config(&self) -> Result<OuterConfig, ConfigError> {
        let run_dir = self.choose_run_dir()?;
        tell(&run_dir);
        let run_dir = run_dir.path;
        let runsc = match self.mode.is_gvisor() {
            true => Runsc::at(self.programs.find_runsc()?),
            false => Runsc::default(),
        };
        Ok(OuterConfig {
            mode: self.mode,
            platform: self.platform,
            run_dir,
            run_workers: self.programs.find_run_workers()?,
            runsc,
            libraries: self.libraries.clone(),
            memory: self.memory,
            watchdog: self.watchdog,
            renewal: self.renewal.clone(),
        })
    }
}

fn tell(run_dir: &RunDirChoice) {
    for folder in &run_dir.passed_over {
        tracing::info!("not taken as run directory: {folder}");
    }
    tracing::info!(run_dir = %run_dir.path.display(), "the files of the service are here");
}

fn clear_stale(config: &OuterConfig) {
    let end = |folder: &std::path::Path, name: &str| {
        outer::end_container(&config.runsc.path, folder, name)
    };
    let cleared = run_dir::clear_stale(&config.run_dir, end);
    if cleared > 0 {
        tracing::info!(cleared, "removed the files of services that were killed");
    }
}

/// One sandbox cannot keep more than a core busy with making processes. More than a few cost memory
/// that was not asked for.
fn default_sandboxes() -> u32 {
    cores().min(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut SandboxOptions)) -> String {
        let mut options = SandboxOptions::default();
        change(&mut options);
        options.check().unwrap_err().to_string()
    }

    #[test]
    fn the_defaults_can_be_combined() {
        SandboxOptions::default().check().unwrap();
    }

    #[test]
    fn wrong_combinations_are_refused_with_the_reason() {
        let text = refused(|o| (o.mode, o.platform) = (Mode::Minimal, Platform::Ptrace));
        assert!(text.contains("only gVisor has platforms"), "{text}");
        let text = refused(|o| (o.mode, o.memory) = (Mode::External, Some(1)));
        assert!(text.contains("LoadOptions"), "{text}");
        let text = refused(|o| (o.mode, o.sandboxes) = (Mode::Minimal, Some(2)));
        assert!(text.contains("only gVisor"), "{text}");
        for count in [0, 65] {
            let text = refused(|o| o.sandboxes = Some(count));
            assert!(text.contains("1 to 64"), "{text}");
        }
        let text = refused(|o| o.libraries = vec!["/no/such/folder".into()]);
        assert!(text.contains("/no/such/folder"), "{text}");
    }

    #[test]
    fn numbers_are_accepted_up_to_their_maximum_and_refused_above() {
        let accepted = |change: fn(&mut SandboxOptions)| {
            let mut options = SandboxOptions::default();
            change(&mut options);
            options.check().unwrap();
        };
        accepted(|o| o.memory = Some(1 << 47));
        assert!(refused(|o| o.memory = Some(0)).contains("memory_limit"));
        assert!(refused(|o| o.memory = Some((1 << 47) + 1)).contains("memory_limit"));
        accepted(|o| o.sandboxes = Some(64));
        accepted(|o| o.watchdog = Duration::MAX);
        let mounts = |count: usize, bytes: usize| -> Vec<LibraryMount> {
            let target = |at: usize| format!("/{at:0>width$}", width = bytes - 1);
            (0..count)
                .map(|at| LibraryMount::at("/usr", target(at)))
                .collect()
        };
        let with = |libraries| SandboxOptions {
            libraries,
            ..SandboxOptions::default()
        };
        with(mounts(64, 252)).check().unwrap();
        with(mounts(65, 10)).check().unwrap_err();
        with(mounts(64, 253)).check().unwrap_err();
        with(mounts(1, 4096)).check().unwrap();
        with(mounts(1, 4097)).check().unwrap_err();
    }

    #[test]
    fn sandboxes_that_would_be_replaced_all_the_time_are_refused() {
        let age = Some(Duration::from_millis(999));
        let text = refused(|o| o.renewal.age = age);
        assert!(text.contains("renewal.age"), "{text}");
    }

    #[test]
    fn a_watchdog_shorter_than_a_second_is_refused() {
        let text = refused(|o| o.watchdog = Duration::from_millis(999));
        assert!(
            text.contains("watchdog") && text.contains("a second"),
            "{text}"
        );
    }
}
