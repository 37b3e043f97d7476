//! What a service says about its sandboxes, and the checks of that.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use roma_core::{ConfigError, Error};

use crate::banner;
use crate::cores::cores;
use crate::options::{LibraryMount, Mode, Platform, check_mounts};
use crate::outer::{self, OuterConfig};
use crate::platform;
use crate::programs::{Programs, Runsc};
use crate::run_dir;
use crate::run_dir_choice::{self, RunDirChoice};

/// A shorter watchdog would end processes that only wait for a processor.
const SHORTEST_WATCHDOG: Duration = Duration::from_secs(1);
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
    /// A bound on the address space of each gVisor sandbox, in bytes.
    pub memory: Option<u64>,
    /// How many gVisor sandboxes there are; by default one for each core, up to four.
    pub sandboxes: Option<u32>,
    /// How long a process inside may fail to answer before it is replaced.
    pub watchdog: Duration,
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
        if self
            .sandboxes
            .is_some_and(|count| !SANDBOXES.contains(&count))
        {
            return wrong(
                "sandboxes",
                "there may be 1 to 64; more than there are cores gain nothing",
            );
        }
        if !self.mode.is_gvisor() {
            self.check_without_gvisor()?;
        }
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
    fn a_watchdog_shorter_than_a_second_is_refused() {
        let text = refused(|o| o.watchdog = Duration::from_millis(999));
        assert!(
            text.contains("watchdog") && text.contains("a second"),
            "{text}"
        );
    }
}
