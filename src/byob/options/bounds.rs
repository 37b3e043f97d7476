//! The largest and smallest values of load options.

use std::time::Duration;

use roma_core::ConfigError;
use roma_protocol::control::{MAX_LIST, MAX_SPAWNERS, MAX_STRING_BYTES};
use roma_protocol::spawner::MAX_LIVE;
use roma_sandbox::limits::PoolLimits;

use super::{Limits, LoadOptions, Logs};

/// What environment and arguments may take together, so that they fit into one message.
const MAX_TEXT_BYTES: usize = 32 << 10;

const MORE_WORKERS: &str =
    "load the code again, from its token, if one service must run more processes of it";
const MORE_WAITING: &str = "let callers back off instead";
const MORE_BYTES: &str = "protobuf messages are not larger";
const NO_LIMIT: &str = "give `None` for no limit";
const LESS: &str = "the kernel takes no larger one";

impl LoadOptions {
    /// The most processes that wait ready, and the most that live. A single spawner could have them all.
    pub const MAX_WORKERS: u32 = MAX_LIVE as u32;
    /// The most requests that wait for a worker.
    pub const MAX_WAITING: u32 = 1 << 20;
    /// The most processes that start workers.
    pub const MAX_SPAWNERS: u32 = MAX_SPAWNERS as u32;
    /// The most output that is kept of each process: 64 MiB.
    pub const MAX_LOG_BYTES: usize = 64 << 20;
    /// The largest request and the largest response: protobuf's own bound, 2 GiB.
    pub const MAX_MESSAGE_BYTES: usize = (2 << 30) - 1;
    /// The largest private `/tmp`: 1 TiB.
    pub const MAX_PRIVATE_TMP: u64 = 1 << 40;
    /// The most variables of an environment, and the most arguments. Each has at most 4,096 bytes, and all
    /// of them together 32 KiB.
    pub const MAX_TEXTS: usize = MAX_LIST;

    /// Refuses what cannot be, or would take more than a machine has.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        self.check_least()?;
        self.check_most()?;
        self.check_texts()?;
        self.limits.check()?;
        check_pool_limits(&self.pool_limits)
    }

    fn check_least(&self) -> Result<(), ConfigError> {
        if self.workers == 0 {
            return wrong("workers", "at least one must be ready");
        }
        if self.effective_max_live() < self.workers {
            return wrong("max_live", "it must not be less than `workers`");
        }
        if self.spawners == Some(0) {
            return wrong("spawners", "at least one must start workers");
        }
        if self.start_timeout.is_zero() {
            return wrong("start_timeout", "a process needs some time to start");
        }
        if self.max_response == 0 {
            return wrong("max_response", "no response could ever be accepted");
        }
        if matches!(self.logs, Logs::Tail { max_bytes: 0 }) {
            return wrong("logs", "use `Logs::Off` to keep nothing");
        }
        if self.private_tmp == Some(0) {
            return wrong("private_tmp", "give `None` for no `/tmp`");
        }
        Ok(())
    }

    fn check_most(&self) -> Result<(), ConfigError> {
        let log_bytes = match self.logs {
            Logs::Off => 0,
            Logs::Tail { max_bytes } => max_bytes,
        };
        let spawners = self.spawners.unwrap_or(1);
        let max_live = self.max_live.unwrap_or(1);
        let most = [
            ("workers", self.workers, Self::MAX_WORKERS, MORE_WORKERS),
            ("max_live", max_live, Self::MAX_WORKERS, MORE_WORKERS),
            (
                "max_waiting",
                self.max_waiting,
                Self::MAX_WAITING,
                MORE_WAITING,
            ),
            (
                "spawners",
                spawners,
                Self::MAX_SPAWNERS,
                "more than there are cores gain nothing",
            ),
        ];
        for (option, value, most, advice) in most {
            ConfigError::at_most(option, value.into(), most.into(), advice)?;
        }
        let bytes = Self::MAX_MESSAGE_BYTES as u64;
        ConfigError::at_most("max_request", self.max_request as u64, bytes, MORE_BYTES)?;
        ConfigError::at_most("max_response", self.max_response as u64, bytes, MORE_BYTES)?;
        ConfigError::at_most(
            "logs",
            log_bytes as u64,
            Self::MAX_LOG_BYTES as u64,
            "this process keeps them in memory",
        )?;
        ConfigError::at_most(
            "private_tmp",
            self.private_tmp.unwrap_or(1),
            Self::MAX_PRIVATE_TMP,
            "it is in memory",
        )
    }

    fn check_texts(&self) -> Result<(), ConfigError> {
        if self.env.iter().any(|(name, value)| {
            name.is_empty() || name.contains(['=', '\0']) || value.contains('\0')
        }) {
            return wrong(
                "env",
                "a name must not be empty or hold `=`, and nothing may hold NUL",
            );
        }
        if self.args.iter().any(|arg| arg.contains('\0')) {
            return wrong("args", "an argument must not hold NUL");
        }
        let env = self
            .env
            .iter()
            .map(|(name, value)| name.len() + "=".len() + value.len());
        let args = self.args.iter().map(String::len);
        let all = check_lengths("env", env)? + check_lengths("args", args)?;
        ConfigError::at_most(
            "env",
            all as u64,
            MAX_TEXT_BYTES as u64,
            "these are the bytes of the environment and the arguments; send data with requests, or mount \
             a folder",
        )
    }
}

/// Checks the number of texts and the length of each. Returns the sum of the lengths.
fn check_lengths(
    option: &'static str,
    lengths: impl ExactSizeIterator<Item = usize>,
) -> Result<usize, ConfigError> {
    let most = LoadOptions::MAX_TEXTS as u64;
    ConfigError::at_most(option, lengths.len() as u64, most, "put several into one")?;
    let mut all = 0;
    for length in lengths {
        ConfigError::at_most(
            option,
            length as u64,
            MAX_STRING_BYTES as u64,
            "this is the length of one of them; send data with requests, or mount a folder",
        )?;
        all += length;
    }
    Ok(all)
}

impl Limits {
    /// The largest limit in bytes: 128 TiB, all addresses of a process.
    pub const MAX_BYTES: u64 = 1 << 47;
    /// The most processor time: a year.
    pub const MAX_CPU_TIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    /// The most open descriptors, if the machine allows as many.
    pub const MAX_OPEN_FILES: u32 = 1 << 20;
    /// The most processes and threads.
    pub const MAX_PROCESSES: u32 = 1 << 22;

    fn check(&self) -> Result<(), ConfigError> {
        let zero = [
            ("cpu_time", self.cpu_time.is_some_and(|time| time.is_zero())),
            ("address_space", self.address_space == Some(0)),
            ("data", self.data == Some(0)),
            ("processes", self.processes == 0),
            ("stack", self.stack == 0),
        ];
        if let Some((option, _)) = zero.into_iter().find(|(_, is_zero)| *is_zero) {
            return wrong(option, "no process could start");
        }
        for (option, bytes) in [
            ("address_space", self.address_space),
            ("data", self.data),
            ("file_size", self.file_size),
            ("stack", Some(self.stack)),
        ] {
            ConfigError::at_most(option, bytes.unwrap_or(0), Self::MAX_BYTES, NO_LIMIT)?;
        }
        // In seconds that are begun, because that is what the kernel counts.
        let seconds = self.to_worker_limits().cpu_seconds.unwrap_or(0);
        ConfigError::at_most("cpu_time", seconds, Self::MAX_CPU_TIME.as_secs(), NO_LIMIT)?;
        ConfigError::at_most(
            "open_files",
            self.open_files.into(),
            Self::MAX_OPEN_FILES.into(),
            LESS,
        )?;
        ConfigError::at_most(
            "processes",
            self.processes.into(),
            Self::MAX_PROCESSES.into(),
            LESS,
        )
    }
}

fn check_pool_limits(limits: &PoolLimits) -> Result<(), ConfigError> {
    for (option, value, most) in [
        ("pool_limits.memory", limits.memory, Limits::MAX_BYTES),
        (
            "pool_limits.processes",
            limits.processes,
            Limits::MAX_PROCESSES.into(),
        ),
        (
            "pool_limits.cpu_millis",
            limits.cpu_millis,
            PoolLimits::MAX_CPU_MILLIS,
        ),
    ] {
        if value == Some(0) {
            return wrong(option, "no process could run");
        }
        ConfigError::at_most(option, value.unwrap_or(1), most, NO_LIMIT)?;
    }
    Ok(())
}

fn wrong<T>(option: &'static str, reason: &'static str) -> Result<T, ConfigError> {
    Err(ConfigError::LoadOption { option, reason })
}

#[cfg(test)]
#[path = "bounds_test.rs"]
mod tests;
