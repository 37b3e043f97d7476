//! Lists the descriptors that are open.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::RawFd;
use std::process::ExitCode;

use nix::sys::resource::{Resource, getrlimit};
use roma_sample_proto::roma::sample::descriptors_response::Descriptor;
use roma_sample_proto::roma::sample::sample_response::Outcome;
use roma_sample_proto::roma::sample::{
    DescriptorsResponse, FileType, SampleRequest, SampleResponse,
};
use roma_sample_udf::message::response;

/// The search ends here if the system's limit is higher or does not exist.
const SEARCH_LIMIT: u64 = 1 << 20;

fn main() -> ExitCode {
    roma_udf::try_serve(|_: SampleRequest| -> io::Result<SampleResponse> {
        let descriptors = open_descriptors()?
            .into_iter()
            .map(describe)
            .collect::<io::Result<_>>()?;
        Ok(response(Outcome::Descriptors(DescriptorsResponse {
            descriptors,
        })))
    })
}

/// Returns the numbers of all open descriptors, with one system call.
#[allow(unsafe_code)]
fn open_descriptors() -> io::Result<Vec<RawFd>> {
    let (limit, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let mut polled: Vec<_> = (0..limit.min(SEARCH_LIMIT) as RawFd)
        .map(|fd| libc::pollfd {
            fd,
            events: 0,
            revents: 0,
        })
        .collect();
    // SAFETY: the pointer and the count describe the vector.
    let result = unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, 0) };
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    let open = polled.iter().filter(|it| it.revents & libc::POLLNVAL == 0);
    Ok(open.map(|it| it.fd).collect())
}

#[allow(unsafe_code)]
fn describe(number: RawFd) -> io::Result<Descriptor> {
    let mut status = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the pointer is valid for the call.
    if unsafe { libc::fstat(number, status.as_mut_ptr()) } == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so it has written all of the structure.
    let mode = unsafe { status.assume_init() }.st_mode;
    // SAFETY: this command takes no further argument and changes nothing.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    Ok(Descriptor {
        number,
        r#type: file_type(mode).into(),
        close_on_exec: flags & libc::FD_CLOEXEC != 0,
    })
}

fn file_type(mode: libc::mode_t) -> FileType {
    match mode & libc::S_IFMT {
        libc::S_IFREG => FileType::Regular,
        libc::S_IFDIR => FileType::Directory,
        libc::S_IFSOCK => FileType::Socket,
        libc::S_IFIFO => FileType::Pipe,
        libc::S_IFCHR => FileType::CharacterDevice,
        libc::S_IFBLK => FileType::BlockDevice,
        libc::S_IFLNK => FileType::SymbolicLink,
        _ => FileType::Unspecified,
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn open_ones_are_listed_and_described() {
        let (socket, _other) = UnixStream::pair().unwrap();
        let open = open_descriptors().unwrap();
        assert!(open.contains(&socket.as_raw_fd()));
        assert!(!open.contains(&1_000));
        let expected = Descriptor {
            number: socket.as_raw_fd(),
            r#type: FileType::Socket.into(),
            close_on_exec: true,
        };
        assert_eq!(describe(socket.as_raw_fd()).unwrap(), expected);
    }
}
