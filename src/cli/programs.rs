//! Finding the programs that commands run in the sandbox.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use bytes::Bytes;

/// The file that `named` names, or else the environment variable, or else what lies beside this
/// program under this name.
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
    // The sandboxes' programs run in other folders than this one.
    Ok(std::path::absolute(path)?)
}

/// The bytes of a program that is found in the same way.
pub fn read_found(named: Option<PathBuf>, variable: &str, name: &str) -> anyhow::Result<Bytes> {
    read(&find(named, variable, name)?)
}

/// The bytes of a program.
pub fn read(path: &Path) -> anyhow::Result<Bytes> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    Ok(bytes.into())
}
