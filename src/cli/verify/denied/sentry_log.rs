//! The denied system calls in gVisor's debug log.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use roma_byob::ServiceBuilder;

/// A run directory for one service, which is removed with the log in it.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Makes it in the run directory that a service would use.
    pub fn make(builder: &ServiceBuilder) -> anyhow::Result<Self> {
        let parent = builder.choose_run_dir()?.path;
        let path = parent.join(format!("verify-{}", std::process::id()));
        fs::create_dir(&path).with_context(|| path.display().to_string())?;
        Ok(Self(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Returns the numbers of the calls that were denied, in their order.
    pub fn denied(&self) -> anyhow::Result<Vec<u32>> {
        let mut numbers = Vec::new();
        for folder in fs::read_dir(&self.0)? {
            let folder = folder?.path();
            if folder.extension().is_some_and(|name| name == "debug") {
                for file in fs::read_dir(folder)? {
                    let log = fs::read(file?.path())?;
                    numbers.extend(String::from_utf8_lossy(&log).lines().filter_map(denied));
                }
            }
        }
        Ok(numbers)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Returns the number in a line such as `... Syscall 133: denied by seccomp`.
fn denied(line: &str) -> Option<u32> {
    let before = line.strip_suffix(": denied by seccomp")?;
    let (_, number) = before.rsplit_once("Syscall ")?;
    number.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_denied_call_is_found() {
        let line = "D1128 18:00:00.1       1 task_syscall.go:241] [   3:   3] Syscall 133: denied by seccomp";
        assert_eq!(denied(line), Some(133));
        assert_eq!(denied("D1128 [   3:   3] udf X write(1, 0x7f, 3)"), None);
    }
}
