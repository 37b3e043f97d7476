//! Finding the programs that commands run in the sandbox.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use bytes::Bytes;

/// Returns the file that `named` or else the environment variable names, or else the file beside this
/// program with this name.
pub fn find(named: Option<PathBuf>, variable: &str, name: &str) -> anyhow::Result<PathBuf> {
    let from_environment = || std::env::var_os(variable).map(PathBuf::from);
    let beside = || Some(std::env::current_exe().ok()?.with_file_name(name));
    let path = named
        .or_else(from_environment)
        .or_else(beside)
        .context("no place to look")?;
    ensure!(
        path.is_file(),
        "{} is not there; name it with {variable}",
        path.display()
    );
    // The sandboxes run in other folders than this one.
    Ok(std::path::absolute(path)?)
}

/// Returns the content of a program that is found as by [`find`].
pub fn read_found(named: Option<PathBuf>, variable: &str, name: &str) -> anyhow::Result<Bytes> {
    read(&find(named, variable, name)?)
}

/// Returns the content of a program.
pub fn read(path: &Path) -> anyhow::Result<Bytes> {
    let name = || path.display().to_string();
    // What is no regular file may have no end.
    let meta = path.metadata().with_context(name)?;
    ensure!(meta.is_file(), "{} is not a regular file", name());
    let bytes = std::fs::read(path).with_context(name)?;
    Ok(bytes.into())
}
