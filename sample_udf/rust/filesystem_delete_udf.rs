//! Tries to remove each file and directory from its path.
//!
//! It renames them instead of deleting them: this needs the same permissions and mounts, and can be undone.

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use roma_sample_udf::file_system::serve_changes;

const SUFFIX: &str = ".moved-by-filesystem-delete-udf";

fn main() -> ExitCode {
    serve_changes(|path, _| {
        let has_place = path.parent().is_some();
        has_place.then(|| move_away_and_back(path))
    })
}

fn move_away_and_back(path: &Path) -> io::Result<()> {
    let mut elsewhere = path.as_os_str().to_owned();
    elsewhere.push(SUFFIX);
    fs::rename(path, &elsewhere)?;
    if let Err(error) = fs::rename(&elsewhere, path) {
        eprintln!(
            "cannot move {} back from {elsewhere:?}: {error}",
            path.display()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_restores_the_file() {
        let path = std::env::temp_dir().join(format!("delete-{}", std::process::id()));
        fs::write(&path, "content").unwrap();
        move_away_and_back(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"content");
        fs::remove_file(&path).unwrap();
        assert!(move_away_and_back(&path).is_err());
    }
}
