//! Tries to create a file in each directory.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;
use std::process::ExitCode;

use roma_sample_udf::file_system::serve_changes;

const NAME: &str = ".created-by-filesystem-add-udf";

fn main() -> ExitCode {
    serve_changes(|path, file_type| file_type.is_dir().then(|| create_in(path)))
}

fn create_in(directory: &Path) -> io::Result<()> {
    let path = directory.join(NAME);
    let created = OpenOptions::new().write(true).create_new(true).open(&path);
    created.map(drop)?;
    if let Err(error) = fs::remove_file(&path) {
        eprintln!("cannot remove {}: {error}", path.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_leaves_no_file() {
        let directory = std::env::temp_dir().join(format!("add-{}", std::process::id()));
        fs::create_dir(&directory).unwrap();
        create_in(&directory).unwrap();
        // Fails unless the directory is empty.
        fs::remove_dir(&directory).unwrap();
        assert!(create_in(&directory).is_err());
    }
}
