//! Why a configuration is refused.

use std::path::PathBuf;

use crate::token::InvalidToken;

/// Why an option is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The text of an option is not one of its values.
    #[error("invalid {option} `{value}`; use one of: {allowed}")]
    UnknownValue {
        /// The option.
        option: &'static str,
        /// The text.
        value: String,
        /// The values that it can have.
        allowed: &'static str,
    },
    /// A text is not the name of loaded code.
    #[error(transparent)]
    Token(#[from] InvalidToken),
    /// Two options contradict each other.
    #[error("{first} and {second} cannot be combined: {reason}")]
    Conflict {
        /// One option.
        first: &'static str,
        /// The other.
        second: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// A library mount cannot work.
    #[error("cannot mount {}: {reason}", path.display())]
    LibraryMount {
        /// The folder.
        path: PathBuf,
        /// Why.
        reason: &'static str,
    },
    /// Two library mounts would hide each other.
    #[error("{} and {} would both be mounted at {}", first.display(), second.display(), target.display())]
    MountClash {
        /// The common target.
        target: PathBuf,
        /// The first folder.
        first: PathBuf,
        /// The second folder.
        second: PathBuf,
    },
    /// An option of the service is refused.
    #[error("option `{option}`: {reason}")]
    ServiceOption {
        /// Its name.
        option: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// A load option is refused.
    #[error("load option `{option}`: {reason}")]
    LoadOption {
        /// Its name.
        option: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// A load option in JSON does not exist or has a wrong value.
    #[error("load option `{option}`: {reason}")]
    LoadOptionValue {
        /// Its name.
        option: String,
        /// Why.
        reason: String,
    },
    /// A number is larger than an option may be.
    #[error("option `{option}`: {value} is more than the {most} that it may be; {advice}")]
    TooLarge {
        /// The name of the option.
        option: &'static str,
        /// The number.
        value: u64,
        /// The largest number that is accepted.
        most: u64,
        /// What to do.
        advice: &'static str,
    },
    /// The file in which the container layers name their programs cannot be used.
    #[error("cannot use {} of the container layers: {reason}", path.display())]
    Layers {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The folder for the service's files cannot be used.
    #[error(
        "cannot use the run directory {}: {reason}; make it a writable folder of this user \
         (in a container in a tmpfs, for gVisor with the option `exec`), or name another with \
         ROMA_RUN_DIR or ServiceBuilder::run_dir",
        path.display()
    )]
    RunDirectory {
        /// The folder.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// None of the folders that could hold the service's files can be used.
    #[error(
        "no folder can be the run directory ({reasons}); name a writable folder of this user \
         (in a container in a tmpfs, for gVisor with the option `exec`) with ROMA_RUN_DIR or \
         ServiceBuilder::run_dir"
    )]
    NoRunDirectory {
        /// Each folder, and why it cannot be used.
        reasons: String,
    },
    /// A program that the service needs is missing.
    #[error("cannot find {program}: {hint}")]
    MissingProgram {
        /// The program.
        program: &'static str,
        /// What to do.
        hint: String,
    },
    /// The program that was named is not there.
    #[error("cannot find {program}: {} is not a file", path.display())]
    NoSuchProgram {
        /// The program.
        program: &'static str,
        /// The path that was named.
        path: PathBuf,
    },
    /// A host function is registered twice or has no name.
    #[error("host function `{0}` has no name or is registered twice")]
    HostFunction(String),
}

impl ConfigError {
    /// Refuses a number that is larger than an option may be.
    ///
    /// # Errors
    ///
    /// [`ConfigError::TooLarge`], with this advice.
    pub fn at_most(
        option: &'static str,
        value: u64,
        most: u64,
        advice: &'static str,
    ) -> Result<(), Self> {
        match value <= most {
            true => Ok(()),
            false => Err(Self::TooLarge {
                option,
                value,
                most,
                advice,
            }),
        }
    }
}
