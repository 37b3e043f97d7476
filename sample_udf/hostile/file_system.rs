//! Tricks with a root that holds only the program.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use crate::Trick;
use crate::answer::Answer;
use crate::kernel::{at, call, number, text};

pub(crate) const TRICKS: &[(&str, Trick)] = &[
    ("read_passwords", |_, _| read("/etc/shadow")),
    ("read_by_dots", |_, _| read("/../../../../../../etc/passwd")),
    ("read_old_root", |_, _| read("/.old/etc/passwd")),
    ("read_host_file", |_, path| read(path)),
    ("read_environment_of_one", |_, _| read("/proc/1/environ")),
    ("read_kernel_settings", |_, _| {
        read("/sys/kernel/uevent_seqnum")
    }),
    ("read_memory_device", |_, _| read("/dev/mem")),
    ("find_other_files", |_, _| other_files(Path::new("/"))),
    ("climb_above_root", |_, _| climb()),
    ("climb_by_path_handle", |_, _| climb_by_path_handle()),
    ("use_leaked_descriptor", |_, _| use_leaked_descriptor()),
    ("create_file", |_, _| File::create("/new").into()),
    ("create_nameless_file", |_, _| create_nameless_file("/")),
    ("make_folder", |_, _| fs::create_dir("/new").into()),
    ("make_symbolic_link", |_, _| symlink("/udf", "/new").into()),
    ("make_hard_link", |_, _| {
        fs::hard_link("/udf", "/new").into()
    }),
    ("make_socket_file", |_, _| UnixListener::bind("/new").into()),
    ("make_fifo", |_, _| make_node(libc::S_IFIFO, 0)),
    ("make_device", |_, _| {
        make_node(libc::S_IFCHR, libc::makedev(1, 1))
    }),
    ("write_own_program", |_, _| {
        OpenOptions::new().write(true).open("/udf").into()
    }),
    ("truncate_own_program", |_, _| {
        call(libc::SYS_truncate, &[text(c"/udf"), 0]).into()
    }),
    ("rename_own_program", |_, _| {
        fs::rename("/udf", "/new").into()
    }),
    ("delete_own_program", |_, _| fs::remove_file("/udf").into()),
    ("make_own_program_setuid", |_, _| make_setuid("/udf")),
    ("touch_own_program", |_, _| {
        call(
            libc::SYS_utimensat,
            &[number(libc::AT_FDCWD), text(c"/udf"), 0, 0],
        )
        .into()
    }),
    ("set_attribute", |_, _| {
        let value = [text(c"/udf"), text(c"user.left"), text(c"x"), 1, 0];
        call(libc::SYS_setxattr, &value).into()
    }),
    ("map_own_program_to_write", |_, _| map_to_write()),
    ("write_page_cache", |_, _| write_page_cache()),
    ("open_by_handle", |_, _| open_by_handle()),
    ("mount_memory", |_, _| mount(c"tmpfs", 0)),
    ("mount_control_groups", |_, _| mount(c"cgroup2", 0)),
    ("remount_root_to_write", |_, _| {
        mount(c"", libc::MS_REMOUNT | libc::MS_BIND)
    }),
    ("bind_root", |_, _| mount(c"", libc::MS_BIND | libc::MS_REC)),
    ("unmount_root", |_, _| {
        call(libc::SYS_umount2, &[text(c"/"), libc::MNT_DETACH as usize]).into()
    }),
    ("pivot_root", |_, _| {
        call(libc::SYS_pivot_root, &[text(c"/"), text(c"/")]).into()
    }),
    ("change_root", |_, _| {
        call(libc::SYS_chroot, &[text(c"/")]).into()
    }),
    ("open_file_system", |_, _| {
        call(libc::SYS_fsopen, &[text(c"tmpfs"), 0]).into()
    }),
    ("open_mount_tree", |_, _| {
        // OPEN_TREE_CLONE
        call(
            libc::SYS_open_tree,
            &[number(libc::AT_FDCWD), text(c"/"), 1],
        )
        .into()
    }),
    ("change_mount", |_, _| change_mount()),
    ("run_from_memory", |_, _| run_from_memory()),
    ("account_processes", |_, _| {
        call(libc::SYS_acct, &[text(c"/udf")]).into()
    }),
];

pub(crate) fn read(path: &str) -> Answer {
    match fs::read(path) {
        Ok(bytes) => Answer::Done(format!("{} bytes", bytes.len())),
        Err(error) => error.into(),
    }
}

/// Finds everything in a folder except this program.
fn other_files(folder: &Path) -> Answer {
    match fs::read_dir(folder) {
        Ok(entries) => {
            let names = entries
                .flatten()
                .map(|entry| entry.file_name().to_string_lossy().into_owned());
            Answer::found(names.filter(|name| name != "udf").collect::<String>())
        }
        Err(error) => error.into(),
    }
}

fn climb() -> Answer {
    for _ in 0..64 {
        if let Err(error) = std::env::set_current_dir("..") {
            return error.into();
        }
    }
    other_files(Path::new("."))
}

/// Goes up from an `O_PATH` handle of the root.
fn climb_by_path_handle() -> Answer {
    let above = || -> io::Result<bool> {
        let root = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_PATH)
            .open("/")?;
        let up = [
            root.as_raw_fd() as usize,
            text(c"../.."),
            libc::O_PATH as usize,
        ];
        let up = adopt(call(libc::SYS_openat, &up)?);
        let (root, up) = (root.metadata()?, up.metadata()?);
        Ok((root.dev(), root.ino()) != (up.dev(), up.ino()))
    };
    above().map_or_else(Answer::from, Answer::done_if)
}

/// Looks for descriptors that a worker must not have.
fn use_leaked_descriptor() -> Answer {
    let open = (4..4096).filter(|fd| call(libc::SYS_fcntl, &[*fd, libc::F_GETFD as usize]).is_ok());
    Answer::found(open.map(|fd| format!("{fd} ")).collect::<String>())
}

pub(crate) fn create_nameless_file(folder: &str) -> Answer {
    let mut options = OpenOptions::new();
    options
        .write(true)
        .custom_flags(libc::O_TMPFILE)
        .open(folder)
        .into()
}

fn make_node(kind: libc::mode_t, device: libc::dev_t) -> Answer {
    let node = [
        number(libc::AT_FDCWD),
        text(c"/new"),
        kind as usize | 0o600,
        device as usize,
    ];
    call(libc::SYS_mknodat, &node).into()
}

pub(crate) fn make_setuid(path: &str) -> Answer {
    fs::set_permissions(path, fs::Permissions::from_mode(0o4755)).into()
}

fn map_to_write() -> Answer {
    let map = || -> io::Result<usize> {
        let program = File::open("/udf")?;
        let access = (libc::PROT_READ | libc::PROT_WRITE) as usize;
        let file = program.as_raw_fd() as usize;
        call(
            libc::SYS_mmap,
            &[0, 4096, access, libc::MAP_SHARED as usize, file, 0],
        )
    };
    map().into()
}

/// Splices a page of the program into a pipe and writes after it (CVE-2022-0847).
fn write_page_cache() -> Answer {
    let attempt = || -> io::Result<bool> {
        let before = first_bytes()?;
        let program = File::open("/udf")?;
        let (reader, mut writer) = io::pipe()?;
        let from = [
            program.as_raw_fd() as usize,
            0,
            writer.as_raw_fd() as usize,
            0,
            1,
            0,
        ];
        call(libc::SYS_splice, &from)?;
        writer.write_all(b"changed")?;
        drop(reader);
        Ok(first_bytes()? != before)
    };
    attempt().map_or_else(Answer::from, Answer::done_if)
}

fn first_bytes() -> io::Result<[u8; 64]> {
    let mut bytes = [0; 64];
    File::open("/udf")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Opens the root of a file system by its well-known inode number (the exploit Shocker).
fn open_by_handle() -> Answer {
    let mut handle = [8_u32, 1, 2, 0, 0, 0];
    let open = [
        number(libc::AT_FDCWD),
        at(&mut handle),
        libc::O_RDONLY as usize,
    ];
    call(libc::SYS_open_by_handle_at, &open).into()
}

fn mount(kind: &'static std::ffi::CStr, flags: std::ffi::c_ulong) -> Answer {
    call(
        libc::SYS_mount,
        &[text(c"/"), text(c"/"), text(kind), flags as usize, 0],
    )
    .into()
}

/// Makes the root writable with `mount_setattr`.
fn change_mount() -> Answer {
    const MOUNT_ATTR_RDONLY: u64 = 1;
    let mut attributes = [0_u64, MOUNT_ATTR_RDONLY, 0, 0];
    let change = [
        number(libc::AT_FDCWD),
        text(c"/"),
        0,
        at(&mut attributes),
        32,
    ];
    call(libc::SYS_mount_setattr, &change).into()
}

/// Runs a program that is only in memory.
fn run_from_memory() -> Answer {
    let attempt = || -> io::Result<()> {
        let mut memory = adopt(call(libc::SYS_memfd_create, &[text(c"new"), 0])?);
        memory.write_all(&fs::read("/udf")?)?;
        let memory = memory.as_raw_fd() as usize;
        if crate::kernel::fork()? {
            let (mut arguments, mut environment) = ([text(c"new"), 0], [0_usize]);
            let run = [
                memory,
                text(c""),
                at(&mut arguments),
                at(&mut environment),
                libc::AT_EMPTY_PATH as usize,
            ];
            let _ = call(libc::SYS_execveat, &run);
            crate::kernel::exit();
        }
        Ok(())
    };
    attempt().into()
}

/// Takes ownership of a new descriptor.
#[allow(unsafe_code)]
pub(crate) fn adopt(fd: usize) -> File {
    // SAFETY: the callers pass the result of a system call that creates a descriptor.
    unsafe { File::from_raw_fd(fd as RawFd) }
}
