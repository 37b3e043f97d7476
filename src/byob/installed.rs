//! What the container layers installed, and where: a small file in the image names it.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::ConfigError;

/// Where the layers put the file.
const CONFIG: &str = "/roma_container/config.json";

/// The places that an image's layers made for this service.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Installed {
    pub(crate) run_workers: PathBuf,
    pub(crate) runsc: PathBuf,
    pub(crate) run_dir: PathBuf,
}

/// What is installed here, if this is an image with our layers.
pub(crate) fn find() -> Result<Option<Installed>, ConfigError> {
    let path = Path::new(CONFIG);
    if !path.exists() {
        return Ok(None);
    }
    read(path).map(Some).map_err(|reason| ConfigError::Layers {
        path: path.to_owned(),
        reason,
    })
}

fn read(path: &Path) -> Result<Installed, String> {
    let owner = unchangeable_by_others(path).map_err(|e| e.to_string())?;
    let text = fs::read_to_string(path).map_err(|e| match e.kind() {
        io::ErrorKind::PermissionDenied => {
            let user = nix::unistd::geteuid();
            format!("it is for user {owner}, and this is user {user}: take the layers of this user")
        }
        _ => e.to_string(),
    })?;
    parse(&text)
}

/// Whoever can write to it names the programs that are started. Returns its owner.
fn unchangeable_by_others(path: &Path) -> io::Result<u32> {
    let meta = fs::metadata(path)?;
    if meta.permissions().mode() & 0o022 != 0 {
        return Err(io::Error::other("others than its owner can write to it"));
    }
    Ok(meta.uid())
}

fn parse(text: &str) -> Result<Installed, String> {
    let value: Value = serde_json::from_str(text).map_err(|e| format!("not JSON: {e}"))?;
    let place = |name: &str| match value.get(name).and_then(Value::as_str) {
        Some(path) if Path::new(path).is_absolute() => Ok(PathBuf::from(path)),
        _ => Err(format!("`{name}` is not an absolute path")),
    };
    Ok(Installed {
        run_workers: place("run_workers")?,
        runsc: place("runsc")?,
        run_dir: place("run_dir")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        r#"{ "run_workers": "/a/run_workers", "runsc": "/b/runsc", "run_dir": "/c" }"#;

    fn written(text: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    #[test]
    fn the_file_names_the_places() {
        let (_folder, path) = written(GOOD, 0o600);
        let expected = Installed {
            run_workers: "/a/run_workers".into(),
            runsc: "/b/runsc".into(),
            run_dir: "/c".into(),
        };
        assert_eq!(read(&path), Ok(expected));
    }

    #[test]
    fn what_others_can_write_to_is_refused() {
        let (_folder, path) = written(GOOD, 0o620);
        assert!(read(&path).unwrap_err().contains("write to it"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert!(parse("{").unwrap_err().contains("not JSON"));
        assert!(parse("[]").unwrap_err().contains("run_workers"));
        let relative = GOOD.replace("/b/runsc", "runsc");
        assert!(parse(&relative).unwrap_err().contains("`runsc`"));
    }

    #[test]
    fn the_layers_file_is_understood() {
        parse(include_str!("../../container/config.json")).unwrap();
    }
}
