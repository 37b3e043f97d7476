//! Where the container layers installed the programs: a small file in the image says so.

use std::fs::{Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use roma_core::ConfigError;
use serde_json::Value;

/// The file of the layers.
const CONFIG: &str = "/roma_container/config.json";

/// What the layers of an image provide.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Installed {
    pub(crate) run_workers: PathBuf,
    pub(crate) runsc: PathBuf,
    pub(crate) run_dir: PathBuf,
}

/// Returns what is installed, if this is an image with our layers.
pub(crate) fn find() -> Result<Option<Installed>, ConfigError> {
    read(Path::new(CONFIG)).map_err(|reason| ConfigError::Layers {
        path: CONFIG.into(),
        reason,
    })
}

fn read(path: &Path) -> Result<Option<Installed>, String> {
    let user = nix::unistd::geteuid().as_raw();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_NOFOLLOW)
        .open(path);
    let mut file = match file {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(unreadable(path, user, &e)),
    };
    let meta = file.metadata().map_err(|e| e.to_string())?;
    trusted(&meta, user)?;
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(|e| e.to_string())?;
    parse(&text).map(Some)
}

fn unreadable(path: &Path, user: u32, error: &io::Error) -> String {
    match path.metadata() {
        Ok(meta) if meta.uid() != user => of_another(meta.uid(), user),
        _ => error.to_string(),
    }
}

fn of_another(owner: u32, user: u32) -> String {
    format!("it is for user {owner}, and this is user {user}: take the layers of this user")
}

/// Refuses a file that others can write to: it names programs that are started.
fn trusted(meta: &Metadata, user: u32) -> Result<(), String> {
    if meta.uid() != user {
        return Err(of_another(meta.uid(), user));
    }
    match meta.permissions().mode() & 0o022 {
        0 => Ok(()),
        _ => Err("others than its owner can write to it".to_owned()),
    }
}

fn parse(text: &str) -> Result<Installed, String> {
    let value: Value = serde_json::from_str(text).map_err(|e| format!("not JSON: {e}"))?;
    let path = |name: &str| match value.get(name).and_then(Value::as_str) {
        Some(path) if Path::new(path).is_absolute() => Ok(PathBuf::from(path)),
        _ => Err(format!("`{name}` is not an absolute path")),
    };
    Ok(Installed {
        run_workers: path("run_workers")?,
        runsc: path("runsc")?,
        run_dir: path("run_dir")?,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

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
    fn the_file_names_the_paths() {
        let (_folder, path) = written(GOOD, 0o600);
        let expected = Installed {
            run_workers: "/a/run_workers".into(),
            runsc: "/b/runsc".into(),
            run_dir: "/c".into(),
        };
        assert_eq!(read(&path), Ok(Some(expected)));
        assert_eq!(read(&path.with_extension("gone")), Ok(None));
    }

    #[test]
    fn a_file_that_others_can_write_to_is_refused() {
        let (_folder, path) = written(GOOD, 0o620);
        assert!(read(&path).unwrap_err().contains("write to it"));
    }

    #[test]
    fn a_file_of_another_user_is_refused() {
        let (_folder, path) = written(GOOD, 0o600);
        let meta = path.metadata().unwrap();
        assert_eq!(trusted(&meta, meta.uid()), Ok(()));
        let refused = trusted(&meta, meta.uid() + 1).unwrap_err();
        assert!(refused.contains("take the layers"), "{refused}");
    }

    #[test]
    fn the_error_says_what_is_wrong() {
        assert!(parse("{").unwrap_err().contains("not JSON"));
        assert!(parse("[]").unwrap_err().contains("run_workers"));
        let relative = GOOD.replace("/b/runsc", "runsc");
        assert!(parse(&relative).unwrap_err().contains("`runsc`"));
    }

    #[test]
    fn the_file_of_the_layers_is_parsed() {
        parse(include_str!("../../../container/config.json")).unwrap();
    }
}
