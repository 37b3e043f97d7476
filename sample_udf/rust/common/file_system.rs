//! Walks the file system and tries to change it.

use std::collections::BTreeMap;
use std::fs::{self, FileType};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use roma_sample_proto::roma::sample::sample_request::Task;
use roma_sample_proto::roma::sample::sample_response::Outcome;
use roma_sample_proto::roma::sample::{FileSystemChangeResponse, SampleRequest};

use crate::message::{Unanswerable, response};

/// The number of failures, by error number.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Failures(BTreeMap<i32, u64>);

impl Failures {
    /// Counts one failure.
    pub fn add(&mut self, error: &io::Error) {
        *self
            .0
            .entry(error.raw_os_error().unwrap_or_default())
            .or_default() += 1;
    }
}

impl From<Failures> for BTreeMap<i32, u64> {
    fn from(failures: Failures) -> Self {
        failures.0
    }
}

/// Calls `visit` for `root` and everything below it, without following links. Returns the number of
/// directories that could not be read.
pub fn walk(root: &str, mut visit: impl FnMut(&Path, FileType)) -> Failures {
    let root = if root.is_empty() { "/" } else { root };
    let mut unreadable = Failures::default();
    let mut directories: Vec<PathBuf> = Vec::new();
    let mut visit_and_remember = |path: PathBuf, file_type: FileType, to_read: &mut Vec<_>| {
        visit(&path, file_type);
        if file_type.is_dir() {
            to_read.push(path);
        }
    };

    match fs::symlink_metadata(root) {
        Ok(metadata) => visit_and_remember(root.into(), metadata.file_type(), &mut directories),
        Err(error) => unreadable.add(&error),
    }
    while let Some(directory) = directories.pop() {
        match entries(&directory) {
            Ok(entries) => {
                for (path, file_type) in entries {
                    visit_and_remember(path, file_type, &mut directories);
                }
            }
            Err(error) => unreadable.add(&error),
        }
    }
    unreadable
}

/// All entries at once: what `visit` does must not confuse a directory that is still being read.
fn entries(directory: &Path) -> io::Result<Vec<(PathBuf, FileType)>> {
    let entries = fs::read_dir(directory)?.map(|entry| {
        let entry = entry?;
        Ok((entry.path(), entry.file_type()?))
    });
    entries.collect()
}

/// Serves a UDF that tries one kind of change everywhere. `attempt` tries it once and undoes it. It returns
/// `None` if the change does not apply to the file.
pub fn serve_changes(attempt: impl Fn(&Path, FileType) -> Option<io::Result<()>>) -> ExitCode {
    roma_udf::try_serve(|request: SampleRequest| {
        let Some(Task::FileSystemChange(request)) = request.task else {
            return Err(Unanswerable);
        };
        let changes = try_everywhere(&request.root, attempt);
        Ok(response(Outcome::FileSystemChange(changes)))
    })
}

fn try_everywhere(
    root: &str,
    attempt: impl Fn(&Path, FileType) -> Option<io::Result<()>>,
) -> FileSystemChangeResponse {
    let mut changed = Vec::new();
    let mut refused = Failures::default();
    let unreadable = walk(root, |path, file_type| match attempt(path, file_type) {
        Some(Ok(())) => changed.push(path.display().to_string()),
        Some(Err(error)) => refused.add(&error),
        None => {}
    });
    FileSystemChangeResponse {
        changed,
        refused: refused.into(),
        unreadable: unreadable.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    /// A directory with a file of each kind. Deleted on drop.
    struct Tree(PathBuf);

    impl Tree {
        fn new(name: &str) -> Self {
            let root = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
            fs::create_dir_all(root.join("dir/inner")).unwrap();
            fs::write(root.join("dir/inner/file"), "").unwrap();
            symlink("/", root.join("dir/link")).unwrap();
            UnixListener::bind(root.join("socket")).unwrap();
            Tree(root)
        }

        fn root(&self) -> &str {
            self.0.to_str().unwrap()
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn everything_is_visited_and_links_are_not_followed() {
        let tree = Tree::new("walk");
        let mut visited = Vec::new();
        let unreadable = walk(tree.root(), |path, _| {
            visited.push(path.strip_prefix(&tree.0).unwrap().to_owned());
        });
        visited.sort();
        let expected = [
            "",
            "dir",
            "dir/inner",
            "dir/inner/file",
            "dir/link",
            "socket",
        ];
        assert_eq!(visited, expected.map(PathBuf::from));
        assert_eq!(unreadable, Failures::default());
    }

    #[test]
    fn unreadable_directories_are_counted() {
        let unreadable = walk("/no/such/directory", |_, _| panic!("called"));
        assert_eq!(unreadable.0, BTreeMap::from([(libc::ENOENT, 1)]));
    }

    #[test]
    fn successful_and_failed_changes_are_reported_separately() {
        let tree = Tree::new("changes");
        let response = try_everywhere(tree.root(), |_, file_type| {
            let readonly = || io::Error::from_raw_os_error(libc::EROFS);
            match (file_type.is_dir(), file_type.is_symlink()) {
                (true, _) => Some(Err(readonly())),
                (_, true) => None,
                _ => Some(Ok(())),
            }
        });
        assert_eq!(response.refused, BTreeMap::from([(libc::EROFS, 3)]));
        assert_eq!(response.changed.len(), 2, "{:?}", response.changed);
        assert!(response.unreadable.is_empty());
    }
}
