//! Reading a binary, and refusing one that can never run.

use std::collections::{HashSet, VecDeque};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use roma_core::{Error, Failure, Fault, GrpcCode, shown};
use roma_protocol::control::MAX_BINARY_BYTES;
use roma_sandbox::elf::{self, Elf, Machine};
use roma_supervise::{LibraryMount, has_dots};
use sha2::{Digest, Sha256};

/// Why a binary is refused before it runs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BinaryError {
    /// There is no such file.
    #[error("{} does not exist", .0.display())]
    Missing(PathBuf),
    /// It is not a file but a folder or a device.
    #[error("{} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// The file lacks the permission to execute.
    #[error("{} is not executable; try: chmod +x", .0.display())]
    NotExecutable(PathBuf),
    /// The file cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// It has no bytes, or more than a sandbox takes.
    #[error("a binary of {0} bytes cannot be loaded")]
    Size(u64),
    /// It is not an executable of this kind of machine, or a script whose interpreter is missing.
    #[error("{}", shown(.0))]
    Unsuitable(String),
    /// It needs shared libraries that the sandbox does not have.
    #[error(
        "the binary needs {} inside the sandbox; link it statically or add library mounts that \
         hold them",
        shown(&.0.join(", "))
    )]
    MissingLibraries(Vec<String>),
}

impl Failure for BinaryError {
    fn fault(&self) -> Fault {
        Fault::Udf
    }

    fn grpc_code(&self) -> GrpcCode {
        match self {
            Self::Missing(_) => GrpcCode::NotFound,
            _ => GrpcCode::InvalidArgument,
        }
    }

    fn name(&self) -> &'static str {
        "binary"
    }
}

impl From<BinaryError> for Error {
    fn from(error: BinaryError) -> Self {
        Self::Engine(Arc::new(error))
    }
}

/// Checks whether a binary can run with these libraries, as [`Service::load`](crate::Service::load)
/// does before it starts anything.
///
/// # Errors
///
/// The [`BinaryError`] says what is missing or wrong.
pub fn check_binary(bytes: Bytes, libraries: &[LibraryMount]) -> Result<(), BinaryError> {
    Image::new(bytes, libraries).map(drop)
}

/// The bytes of a binary, checked.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) bytes: Bytes,
    sha256: OnceLock<[u8; 32]>,
}

impl Image {
    /// Checks the bytes.
    pub(crate) fn new(bytes: Bytes, libraries: &[LibraryMount]) -> Result<Arc<Self>, BinaryError> {
        let size = bytes.len() as u64;
        if size == 0 || size > MAX_BINARY_BYTES {
            return Err(BinaryError::Size(size));
        }
        check(&bytes, libraries)?;
        let sha256 = OnceLock::new();
        Ok(Arc::new(Self { bytes, sha256 }))
    }

    /// Returns the digest. The first caller computes it, which takes some milliseconds for each
    /// megabyte.
    pub(crate) fn sha256(&self) -> [u8; 32] {
        *self
            .sha256
            .get_or_init(|| Sha256::digest(&self.bytes).into())
    }
}

/// Reads a file, once: what is checked is what will run.
pub(crate) fn read(path: &Path) -> Result<Bytes, BinaryError> {
    let meta = fs::metadata(path).map_err(|e| unreadable(path, &e))?;
    if !meta.is_file() {
        return Err(BinaryError::NotAFile(path.to_owned()));
    }
    if meta.permissions().mode() & 0o111 == 0 {
        return Err(BinaryError::NotExecutable(path.to_owned()));
    }
    if meta.len() > MAX_BINARY_BYTES {
        return Err(BinaryError::Size(meta.len()));
    }
    fs::read(path)
        .map(Bytes::from)
        .map_err(|e| unreadable(path, &e))
}

fn unreadable(path: &Path, error: &io::Error) -> BinaryError {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            BinaryError::Missing(path.to_owned())
        }
        _ => BinaryError::Unreadable {
            path: path.to_owned(),
            reason: error.to_string(),
        },
    }
}

fn check(bytes: &[u8], libraries: &[LibraryMount]) -> Result<(), BinaryError> {
    let unsuitable = |what: String| Err(BinaryError::Unsuitable(format!("the binary is {what}")));
    match elf::inspect(bytes) {
        Err(error) => unsuitable(error.to_string()),
        Ok(elf::Binary::Script { interpreter }) => match on_host(&interpreter, libraries) {
            Some(_) => Ok(()),
            None => unsuitable(format!(
                "a script, and its interpreter {interpreter} is in no library mount"
            )),
        },
        Ok(elf::Binary::Elf(elf)) if elf.machine != Machine::here() => unsuitable(format!(
            "for {:?}, and this machine is {:?}",
            elf.machine,
            Machine::here()
        )),
        Ok(elf::Binary::Elf(elf)) => check_libraries(&elf, libraries),
    }
}

fn check_libraries(elf: &Elf, libraries: &[LibraryMount]) -> Result<(), BinaryError> {
    let mut missing = Vec::new();
    missing.extend(
        elf.interpreter
            .iter()
            .filter(|i| on_host(i, libraries).is_none())
            .cloned(),
    );
    let mut seen: HashSet<String> = elf.needed.iter().cloned().collect();
    let mut queue: VecDeque<String> = elf.needed.iter().cloned().collect();
    while let Some(name) = queue.pop_front() {
        let Some(path) = find_library(&name, libraries) else {
            missing.push(name);
            continue;
        };
        // The dynamic linker decides about a library that cannot be parsed.
        let Ok(bytes) = fs::read(path) else { continue };
        let Ok(elf::Binary::Elf(library)) = elf::inspect(&bytes) else {
            continue;
        };
        queue.extend(
            library
                .needed
                .into_iter()
                .filter(|name| seen.insert(name.clone())),
        );
    }
    match missing.is_empty() {
        true => Ok(()),
        false => Err(BinaryError::MissingLibraries(missing)),
    }
}

/// Returns the file of the host that the sandbox shows at `path`. A path with `..` has none: it comes
/// from the binary, and could lead to any file of the host.
fn on_host(path: &str, libraries: &[LibraryMount]) -> Option<PathBuf> {
    if has_dots(Path::new(path)) {
        return None;
    }
    libraries.iter().find_map(|mount| {
        let rest = Path::new(path).strip_prefix(&mount.target).ok()?;
        let source = mount.source.join(rest);
        source.is_file().then_some(source)
    })
}

/// Searches the folders of the dynamic linker: the mounts themselves and their subfolders named after
/// the machine, such as `x86_64-linux-gnu`.
fn find_library(name: &str, libraries: &[LibraryMount]) -> Option<PathBuf> {
    if name.contains('/') {
        return on_host(name, libraries);
    }
    let machine = format!("{}-linux-gnu", std::env::consts::ARCH);
    libraries
        .iter()
        .flat_map(|mount| {
            [
                mount.source.join(name),
                mount.source.join(&machine).join(name),
            ]
        })
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use roma_supervise::system_libraries;

    use super::*;

    fn refused(bytes: impl Into<Bytes>) -> BinaryError {
        Image::new(bytes.into(), &[]).unwrap_err()
    }

    fn shell() -> Bytes {
        fs::read("/bin/sh").unwrap().into()
    }

    #[test]
    fn a_file_that_is_not_a_program_is_refused() {
        assert_eq!(refused(Bytes::new()), BinaryError::Size(0));
        assert!(
            refused("hello")
                .to_string()
                .contains("neither an ELF program nor a script")
        );
        assert!(
            refused("#!/usr/bin/python3\n")
                .to_string()
                .contains("/usr/bin/python3")
        );
    }

    #[test]
    fn an_interpreter_outside_the_libraries_is_refused() {
        let libraries = [LibraryMount::same("/usr/lib")];
        let script = Bytes::from("#!/usr/lib/../../etc/passwd\n");
        assert!(matches!(
            Image::new(script, &libraries),
            Err(BinaryError::Unsuitable(_))
        ));
    }

    #[test]
    fn the_error_names_the_machine_of_the_binary() {
        let mut bytes = shell().to_vec();
        bytes[18] = 243;
        assert!(refused(bytes).to_string().contains("Other(243)"));
    }

    #[test]
    fn the_error_names_missing_libraries_and_mounts_provide_them() {
        let BinaryError::MissingLibraries(names) = refused(shell()) else {
            panic!()
        };
        assert!(
            names.iter().any(|name| name.starts_with("libc.so")),
            "{names:?}"
        );
        assert!(
            names.iter().any(|name| name.starts_with("/lib")),
            "{names:?}"
        );
        Image::new(shell(), &system_libraries()).unwrap();
    }

    #[test]
    fn files_that_cannot_run_are_refused_each_with_its_cause() {
        assert!(matches!(
            read(Path::new("/no/such/file")),
            Err(BinaryError::Missing(_))
        ));
        assert!(matches!(
            read(Path::new("/")),
            Err(BinaryError::NotAFile(_))
        ));
        assert!(matches!(
            read(Path::new("/etc/passwd")),
            Err(BinaryError::NotExecutable(_))
        ));
    }

    #[test]
    fn the_digest_is_that_of_the_bytes() {
        let image = Image::new(shell(), &system_libraries()).unwrap();
        assert_eq!(
            image.sha256()[..],
            Sha256::digest(fs::read("/bin/sh").unwrap())[..]
        );
    }
}
