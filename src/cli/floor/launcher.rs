//! The cheapest start of a process in namespaces of its own.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::ptr::null;

use nix::errno::Errno;
use nix::unistd::Pid;
use roma_sandbox::launch::{DATA_FD, PROGRAM};

const STACK_BYTES: usize = 64 * 1024;

/// Starts the program of this root, one process at a time, and does nothing else.
#[derive(Debug)]
pub struct BareLauncher {
    stack: Vec<u8>,
}

impl BareLauncher {
    /// Creates a launcher for a process that is single-threaded.
    #[must_use]
    pub fn new() -> Self {
        Self {
            stack: vec![0; STACK_BYTES],
        }
    }

    /// Starts a process with `data` as its descriptor 3. It inherits all other descriptors of this
    /// process that are not close-on-exec.
    pub fn start(&mut self, data: BorrowedFd<'_>) -> Result<Pid, Errno> {
        let flags = libc::CLONE_VM
            | libc::CLONE_VFORK
            | libc::CLONE_NEWPID
            | libc::CLONE_NEWNS
            | libc::CLONE_NEWUTS
            | libc::CLONE_NEWIPC
            | libc::CLONE_NEWUSER
            | libc::SIGCHLD;
        // Both architectures want the stack aligned to 16 bytes.
        let top = self.stack.as_mut_ptr_range().end.map_addr(|end| end & !15);
        let argument = data.as_raw_fd() as usize as *mut c_void;
        // SAFETY: the stack is ours and big enough for `child`; CLONE_VFORK suspends this process,
        // which has one thread, until the child has executed a program or exited.
        let pid = unsafe { libc::clone(child, top.cast(), flags, argument) };
        Errno::result(pid).map(Pid::from_raw)
    }
}

extern "C" fn child(data: *mut c_void) -> c_int {
    let data = data as usize as RawFd;
    let arguments = [c"floor".as_ptr(), c"3".as_ptr(), null()];
    let environment = [null()];
    // SAFETY: system calls only, as a child that shares its parent's memory must; both lists end with
    // a null pointer and point to static strings.
    unsafe {
        // dup2 onto itself would leave it close-on-exec.
        if data == DATA_FD {
            libc::fcntl(data, libc::F_SETFD, 0);
        } else {
            libc::dup2(data, DATA_FD);
        }
        libc::execve(PROGRAM.as_ptr(), arguments.as_ptr(), environment.as_ptr());
        libc::_exit(127)
    }
}
