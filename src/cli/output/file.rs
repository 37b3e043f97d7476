//! Files that are written at the end of a long command.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::error::WrongUse;

/// A file that is checked to be writable before the work starts. Its former content stays until it is
/// written, and a new file is removed if nothing was written to it.
#[derive(Debug)]
pub struct OutputFile {
    path: PathBuf,
    is_new: bool,
}

impl OutputFile {
    /// Checks that the file can be written.
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

    /// Replaces the content.
    pub fn write(mut self, text: &str) -> anyhow::Result<()> {
        fs::write(&self.path, text).with_context(|| self.path.display().to_string())?;
        self.is_new = false;
        Ok(())
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        if self.is_new {
            // An empty file that stays does no harm.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_written_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let error = OutputFile::at(&folder.path().join("none/report")).unwrap_err();
        assert!(error.to_string().contains("none/report"), "{error:#}");
        assert!(OutputFile::at(folder.path()).is_err());
    }

    #[test]
    fn a_file_is_unchanged_until_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report");
        drop(OutputFile::at(&path).unwrap());
        assert!(!path.exists());
        fs::write(&path, "older and longer").unwrap();
        let output = OutputFile::at(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "older and longer");
        output.write("new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    }
}
