//! Files that are written at the end of something long.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::wrong_use::WrongUse;

/// A file that can be written: that is found out first. What was there before stays until then, and a
/// new one that nothing was written to goes.
#[derive(Debug)]
pub struct Output {
    path: PathBuf,
    is_new: bool,
}

impl Output {
    /// Makes sure of it.
    pub fn at(path: &Path) -> anyhow::Result<Self> {
        let is_new = !path.exists();
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.with_context(|| path.display().to_string())
            .map_err(WrongUse::of)?;
        Ok(Self {
            path: path.to_owned(),
            is_new,
        })
    }

    /// Writes it.
    pub fn write(mut self, text: &str) -> anyhow::Result<()> {
        fs::write(&self.path, text).with_context(|| self.path.display().to_string())?;
        self.is_new = false;
        Ok(())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if self.is_new {
            // Nobody misses it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_written_is_known_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let error = Output::at(&folder.path().join("none/report")).unwrap_err();
        assert!(error.to_string().contains("none/report"), "{error:#}");
        assert!(Output::at(folder.path()).is_err());
    }

    #[test]
    fn nothing_is_changed_before_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report");
        drop(Output::at(&path).unwrap());
        assert!(!path.exists());
        fs::write(&path, "older and longer").unwrap();
        let output = Output::at(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "older and longer");
        output.write("new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    }
}
