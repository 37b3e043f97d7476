//! Receiving a pool's binary.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use roma_protocol::control::{DIGEST_BYTES, Load};
use roma_sandbox::step::{self, Step, StepFailure, errno_of};

const CHUNK_BYTES: usize = 256 * 1024;

/// Writes the binary that `connection` brings to `path` and compares its digest with the one that
/// follows it.
pub(crate) fn receive(connection: OwnedFd, load: &Load, path: &Path) -> Result<(), StepFailure> {
    let mut connection = File::from(connection);
    let digest = step::run(Step::ReceiveCode, || {
        copy(&mut connection, load.binary_bytes, path)
    })?;
    step::run(Step::CheckDigest, || {
        let mut announced = [0; DIGEST_BYTES];
        connection
            .read_exact(&mut announced)
            .map_err(|_| Errno::ENODATA)?;
        if digest == announced {
            Ok(())
        } else {
            Err(Errno::EBADMSG)
        }
    })
}

/// Copies exactly `bytes` bytes and returns their digest. Fails with `ENODATA` if there are fewer.
fn copy(from: &mut File, bytes: u64, path: &Path) -> Result<[u8; DIGEST_BYTES], Errno> {
    let mut to = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o555)
        .open(path)
        .map_err(|error| errno_of(&error))?;
    let mut digest = blake3::Hasher::new();
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut missing = bytes;
    while missing > 0 {
        let wanted =
            usize::try_from(missing).map_or(CHUNK_BYTES, |missing| missing.min(CHUNK_BYTES));
        match from.read(&mut buffer[..wanted]) {
            Ok(0) => return Err(Errno::ENODATA),
            Ok(count) => {
                digest.update(&buffer[..count]);
                to.write_all(&buffer[..count])
                    .map_err(|error| errno_of(&error))?;
                missing -= count as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(errno_of(&error)),
        }
    }
    Ok(digest.finalize().into())
}
