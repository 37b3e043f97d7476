//! The check whether a binary can run.

use std::path::{Component, Path};
use std::sync::LazyLock;

use bytes::Bytes;
use roma_byob::{LibraryMount, check_binary};
use roma_sandbox::elf::{Binary, inspect};
use tempfile::TempDir;

use crate::seeds;

/// A folder with files for UDFs in `lib` and another file outside of it.
static FOLDER: LazyLock<Option<TempDir>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().ok()?;
    std::fs::create_dir(folder.path().join("lib")).ok()?;
    for name in ["secret", "lib/libc.so.6", "lib/ld.so"] {
        std::fs::write(folder.path().join(name), seeds::program("", &[])).ok()?;
    }
    Some(folder)
});

/// A binary passes only if all files that it names are below the folders for UDFs.
pub fn run(file: &[u8]) {
    let Some(folder) = &*FOLDER else { return };
    let libraries = [LibraryMount::at(folder.path().join("lib"), "/lib")];
    if check_binary(Bytes::copy_from_slice(file), &libraries).is_err() {
        return;
    }
    match inspect(file) {
        Ok(Binary::Elf(elf)) => {
            assert!(elf.interpreter.iter().all(|path| is_for_udfs(path)));
            assert!(elf.needed.iter().all(|name| is_for_udfs(name)));
        }
        Ok(Binary::Script { interpreter }) => assert!(is_for_udfs(&interpreter)),
        Err(error) => unreachable!("a binary passed that cannot be inspected: {error}"),
    }
}

fn is_for_udfs(name: &str) -> bool {
    let path = Path::new(name);
    let mut parts = path.components();
    let known = path
        .file_name()
        .is_some_and(|file| file == "libc.so.6" || file == "ld.so");
    known
        && parts.all(|part| matches!(part, Component::RootDir | Component::Normal(_)))
        && (path.starts_with("/lib") || !name.contains('/'))
}
