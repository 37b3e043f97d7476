//! What is known of gVisor's program: its version, its digest, and whether it has an option.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::remembered::Remembered;

/// The option that leaves the system calls of programs as they are on the platform systrap, where a
/// process that lives for one request pays for their replacement and has nothing of it.
const LEAVES_CALLS: &str = "--systrap-disable-syscall-patching";
/// How long the program may take to tell its version or its options.
const PATIENCE: Duration = Duration::from_secs(5);

/// gVisor's program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Runsc {
    /// Where it is. Empty in the modes without gVisor.
    pub path: PathBuf,
    /// The version that it reports; a build of ours names its patches there. Empty if it reports none.
    pub version: String,
    /// The digest of its file, in hexadecimal. Empty if it cannot be read.
    pub digest: String,
    has_leaves_calls: bool,
}

impl Runsc {
    /// Returns the program at this path, of which nothing is known yet.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            ..Self::default()
        }
    }

    /// Reads the file and asks the program, or returns what an earlier service found. Blocks. What cannot
    /// be found out is left empty: a program that does not run is reported when a sandbox starts.
    #[must_use]
    pub fn inspect(path: &Path) -> Self {
        let memory = identity(path).map(|id| Remembered::new(&format!("runsc-{id:016x}")));
        let known = memory.as_ref().and_then(Remembered::read);
        if let Some(known) = known.and_then(|text| Self::parse(path, &text)) {
            return known;
        }
        let options = output(path, "flags").unwrap_or_default();
        let found = Self {
            path: path.to_owned(),
            version: Self::ask_version(path).unwrap_or_default(),
            digest: digest(path).unwrap_or_default(),
            // Options of Go programs begin with one hyphen where they are listed.
            has_leaves_calls: options.contains(&LEAVES_CALLS[1..]),
        };
        if let (Some(memory), true, false) = (memory, found.is_known(), options.is_empty()) {
            memory.write(&found.text());
        }
        found
    }

    /// Runs the program and returns the version that it reports. Blocks.
    ///
    /// # Errors
    ///
    /// What failed, in words.
    pub fn ask_version(path: &Path) -> Result<String, String> {
        let text = output(path, "--version")?;
        version_in(&text).ok_or_else(|| "it tells no version".to_owned())
    }

    /// Returns whether the version and the digest could be found out, so that results can be remembered.
    pub(crate) fn is_known(&self) -> bool {
        !self.version.is_empty() && !self.digest.is_empty()
    }

    /// Returns the options that every container gets, if the program knows them.
    pub(crate) fn options(&self) -> Option<&'static str> {
        self.has_leaves_calls.then_some(LEAVES_CALLS)
    }

    /// Returns whether a process on systrap finds nothing of the one before it: our patch `stub-reset`.
    #[must_use]
    pub fn resets_stubs(&self) -> bool {
        let mut words = self.version.split([' ', '(', ')']);
        words.any(|word| word == "stub-reset")
    }

    fn text(&self) -> String {
        let Self {
            digest,
            has_leaves_calls,
            version,
            ..
        } = self;
        format!("{digest}\n{has_leaves_calls}\n{version}\n")
    }

    fn parse(path: &Path, text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let (digest, option, version) = (lines.next()?, lines.next()?, lines.next()?);
        Some(Self {
            path: path.to_owned(),
            version: version.to_owned(),
            digest: digest.to_owned(),
            has_leaves_calls: option.parse().ok()?,
        })
    }
}

/// Returns a number that changes when the file is replaced or written.
fn identity(path: &Path) -> Option<u64> {
    let meta = fs::metadata(path).ok()?;
    let mut hasher = DefaultHasher::new();
    (path, meta.dev(), meta.ino(), meta.size()).hash(&mut hasher);
    (meta.mtime(), meta.mtime_nsec()).hash(&mut hasher);
    (meta.ctime(), meta.ctime_nsec()).hash(&mut hasher);
    Some(hasher.finish())
}

fn digest(path: &Path) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path)?)?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// Parses the output of `runsc --version`.
fn version_in(text: &str) -> Option<String> {
    let mut lines = text.lines();
    lines.find_map(|line| Some(line.strip_prefix("runsc version ")?.trim().to_owned()))
}

/// Returns what the program prints if it succeeds in time. One that does not end is killed, and a
/// descendant that keeps the pipes open is not waited for.
fn output(path: &Path, argument: &str) -> Result<String, String> {
    let mut child = Command::new(path)
        .arg(argument)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send((read_all(stdout), read_all(stderr))));
    let texts = receiver.recv_timeout(PATIENCE);
    if texts.is_err() {
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    let (stdout, stderr) = texts.map_err(|_| format!("it does not end within {PATIENCE:?}"))?;
    match status.success() {
        true => Ok(stdout),
        false => Err(stderr.trim().to_owned()),
    }
}

fn read_all(pipe: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    let _ = pipe.map(|mut pipe| pipe.read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_in_the_output() {
        let text = "runsc version 1.2+roma.0 (a b)\nspec: 1.2.0\n";
        assert_eq!(version_in(text).unwrap(), "1.2+roma.0 (a b)");
        assert_eq!(version_in("warning: x\nrunsc version 3\n").unwrap(), "3");
        assert_eq!(version_in("usage: false\n"), None);
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let runsc = Runsc {
            path: "/bin/runsc".into(),
            version: "1 (a b)".into(),
            digest: "ab".into(),
            has_leaves_calls: true,
        };
        let read = Runsc::parse(Path::new("/bin/runsc"), &runsc.text());
        assert_eq!(read, Some(runsc));
        assert_eq!(
            Runsc::parse(Path::new("/bin/runsc"), "ab\nmaybe\n1\n"),
            None
        );
    }

    #[test]
    fn a_program_that_is_not_runsc_has_no_version_and_no_option() {
        let found = Runsc::inspect(Path::new("/bin/false"));
        assert_eq!((found.version.as_str(), found.options()), ("", None));
        assert_eq!(found.digest.len(), 64);
        assert_eq!(Runsc::inspect(Path::new("/nonexistent")).digest, "");
    }

    #[test]
    fn a_replaced_file_has_another_identity() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("runsc");
        fs::write(&file, "one").unwrap();
        let before = identity(&file);
        fs::rename(&file, scratch.path().join("old")).unwrap();
        fs::write(&file, "two").unwrap();
        assert_ne!(identity(&file), before);
        assert_eq!(identity(Path::new("/nonexistent")), None);
    }
}
