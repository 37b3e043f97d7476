//! Tries to open each regular file for writing, and writes nothing.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;

use roma_sample_udf::file_system::serve_changes;

fn main() -> ExitCode {
    serve_changes(|path, file_type| file_type.is_file().then(|| open_for_writing(path)))
}

fn open_for_writing(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    // Another kind of file may have replaced the file since it was found.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
    let opened = options.write(true).custom_flags(flags).open(path);
    opened.map(drop)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn an_attempt_does_not_change_the_content() {
        let path = std::env::temp_dir().join(format!("edit-{}", std::process::id()));
        fs::write(&path, "content").unwrap();
        open_for_writing(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"content");
        fs::remove_file(&path).unwrap();
        assert!(open_for_writing(&path).is_err());
    }
}
