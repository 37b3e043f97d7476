//! Resources through which two requests to the same code could meet. For each, `leave_X` leaves a trace that
//! `find_X` would find, and keeps running after its answer.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{SocketAddr as Name, UnixListener, UnixStream};
use std::thread;
use std::time::Duration;

use crate::Trick;
use crate::answer::Answer;
use crate::file_system::adopt;
use crate::kernel::{at, call, number, text, wait_for_ever};

pub(crate) const TRICKS: &[(&str, Trick)] = &[
    ("leave_file", |_, _| fs::write("/left", "secret").into()),
    ("find_file", |_, _| crate::file_system::read("/left")),
    ("leave_file_in_tmp", |_, _| {
        fs::write("/tmp/left", "secret").into()
    }),
    ("find_file_in_tmp", |_, _| {
        crate::file_system::read("/tmp/left")
    }),
    ("leave_shared_memory", |_, _| shared_memory(libc::IPC_CREAT)),
    ("find_shared_memory", |_, _| shared_memory(0)),
    ("leave_semaphores", |_, _| semaphores(libc::IPC_CREAT)),
    ("find_semaphores", |_, _| semaphores(0)),
    ("leave_messages", |_, _| messages(libc::IPC_CREAT)),
    ("find_messages", |_, _| messages(0)),
    ("leave_posix_queue", |_, _| {
        posix_queue(libc::O_CREAT | libc::O_RDWR)
    }),
    ("find_posix_queue", |_, _| posix_queue(libc::O_RDWR)),
    ("leave_key", |_, _| leave_key()),
    ("find_key", |_, _| find_key()),
    ("leave_socket_name", |_, _| leave_socket_name()),
    ("find_socket_name", |_, _| {
        name()
            .and_then(|name| UnixStream::connect_addr(&name))
            .into()
    }),
    ("leave_port", |_, _| keep(TcpListener::bind(PORT))),
    ("find_port", |_, _| TcpStream::connect(PORT).into()),
    ("leave_file_lock", |_, _| lock(libc::LOCK_EX)),
    ("find_file_lock", |_, _| {
        found_by_refusal(lock(libc::LOCK_SH | libc::LOCK_NB))
    }),
    ("leave_lease", |_, _| lease(libc::F_SETLEASE, libc::F_RDLCK)),
    ("find_lease", |_, _| find_lease()),
    ("leave_opens_of_watched_file", |_, _| Answer::done()),
    ("find_opens_of_watched_file", |_, _| watch_opens()),
    ("leave_write_hint", |_, _| write_hint(F_SET_RW_HINT, HINT)),
    ("find_write_hint", |_, _| write_hint(F_GET_RW_HINT, 0)),
    ("leave_flags_of_input", |_, _| leave_flags(0)),
    ("find_flags_of_input", |_, _| find_flags(0)),
    ("leave_flags_of_output", |_, _| leave_flags(1)),
    ("find_flags_of_output", |_, _| find_flags(1)),
    ("leave_signal_of_input", |_, _| fcntl(0, F_SETSIG, 40)),
    ("find_signal_of_input", |_, _| {
        call(libc::SYS_fcntl, &[0, F_GETSIG])
            .map_or_else(Answer::from, |signal| Answer::done_if(signal != 0))
    }),
    ("leave_record_lock", |_, _| record_lock(0, libc::F_SETLK)),
    ("find_record_lock", |_, _| record_lock(0, libc::F_GETLK)),
    ("leave_lock_of_program", |_, _| lock_program(libc::F_SETLK)),
    ("find_lock_of_program", |_, _| lock_program(libc::F_GETLK)),
    ("leave_open_file_lock", |_, _| {
        lock_program(libc::F_OFD_SETLK)
    }),
    ("find_open_file_lock", |_, _| {
        lock_program(libc::F_OFD_GETLK)
    }),
    ("leave_wakes_of_shared_page", |_, _| Answer::done()),
    ("find_wakes_of_shared_page", |_, _| {
        wait_on_program(libc::MAP_SHARED)
    }),
    ("leave_wakes_of_private_page", |_, _| Answer::done()),
    ("find_wakes_of_private_page", |_, _| {
        wait_on_program(libc::MAP_PRIVATE)
    }),
    ("leave_io_priority", |_, _| {
        let set = [OF_GROUP, 0, IDLE_PRIORITY];
        call(libc::SYS_ioprio_set, &set).into()
    }),
    ("find_io_priority", |_, _| {
        call(libc::SYS_ioprio_get, &[OF_GROUP, 0]).map_or_else(Answer::from, |priority| {
            Answer::done_if(priority == IDLE_PRIORITY)
        })
    }),
    ("leave_time_of_input", |_, _| {
        call(libc::SYS_utimensat, &[0, 0, 0, 0]).into()
    }),
    ("find_time_of_input", |_, _| find_time()),
    ("leave_host_name", |_, _| {
        call(libc::SYS_sethostname, &[text(c"left"), 4]).into()
    }),
    ("find_host_name", |_, _| find_host_name()),
];

/// Keeps a request that left a trace running until it is killed.
pub(crate) fn linger(left: &str) -> ! {
    let again: fn() = match left {
        "opens_of_watched_file" => || drop(File::open("/udf")),
        "wakes_of_shared_page" => || wake_on_program(libc::MAP_SHARED),
        "wakes_of_private_page" => || wake_on_program(libc::MAP_PRIVATE),
        _ => wait_for_ever(),
    };
    loop {
        again();
        thread::sleep(Duration::from_millis(5));
    }
}

/// Keeps a resource until the process ends.
fn keep<T>(held: io::Result<T>) -> Answer {
    held.map(std::mem::forget).into()
}

const KEY: usize = 0x0052_4f4d;

fn shared_memory(flags: i32) -> Answer {
    call(libc::SYS_shmget, &[KEY, 4096, flags as usize | 0o666]).into()
}

fn semaphores(flags: i32) -> Answer {
    call(libc::SYS_semget, &[KEY, 1, flags as usize | 0o666]).into()
}

fn messages(flags: i32) -> Answer {
    call(libc::SYS_msgget, &[KEY, flags as usize | 0o666]).into()
}

fn posix_queue(flags: i32) -> Answer {
    let mut attributes = [0_i64, 1, 8, 0, 0, 0, 0, 0];
    let open = [text(c"left"), flags as usize, 0o666, at(&mut attributes)];
    call(libc::SYS_mq_open, &open).into()
}

/// The keyring of this user. The next request may have the same user id.
const USER_KEYRING: i32 = -4;

fn leave_key() -> Answer {
    let key = [
        text(c"user"),
        text(c"left"),
        text(c"secret"),
        6,
        number(USER_KEYRING),
    ];
    call(libc::SYS_add_key, &key).into()
}

fn find_key() -> Answer {
    const SEARCH: usize = 10;
    let search = [
        SEARCH,
        number(USER_KEYRING),
        text(c"user"),
        text(c"left"),
        0,
    ];
    call(libc::SYS_keyctl, &search).into()
}

const PORT: &str = "127.0.0.1:7778";

fn name() -> io::Result<Name> {
    Name::from_abstract_name("left-by-a-request")
}

fn leave_socket_name() -> Answer {
    keep(name().and_then(|name| UnixListener::bind_addr(&name)))
}

fn lock(kind: i32) -> Answer {
    let locked = File::open("/udf").and_then(|file| {
        call(libc::SYS_flock, &[file.as_raw_fd() as usize, kind as usize])?;
        Ok(file)
    });
    keep(locked)
}

/// A refused lock or lease shows that another process holds one.
fn found_by_refusal(answer: Answer) -> Answer {
    match answer {
        Answer::Refused(libc::EAGAIN) => Answer::Done("held".to_owned()),
        Answer::Done(_) => Answer::Nothing,
        other => other,
    }
}

fn lease(command: i32, kind: libc::c_int) -> Answer {
    let leased = File::open("/udf").and_then(|file| {
        call(
            libc::SYS_fcntl,
            &[file.as_raw_fd() as usize, command as usize, kind as usize],
        )?;
        Ok(file)
    });
    keep(leased)
}

/// A read lease is refused if another process writes, a write lease if another process reads.
fn find_lease() -> Answer {
    found_by_refusal(lease(libc::F_SETLEASE, libc::F_WRLCK))
}

fn watch_opens() -> Answer {
    let watch = || -> io::Result<Answer> {
        let mut events = adopt(call(
            libc::SYS_inotify_init1,
            &[libc::IN_NONBLOCK as usize],
        )?);
        let watched = [
            events.as_raw_fd() as usize,
            text(c"/udf"),
            libc::IN_OPEN as usize,
        ];
        call(libc::SYS_inotify_add_watch, &watched)?;
        thread::sleep(Duration::from_millis(300));
        Ok(Answer::done_if(events.read(&mut [0; 4096]).is_ok()))
    };
    watch().unwrap_or_else(Answer::from)
}

/// All processes of the caller's process group, and a priority that nothing else sets.
const OF_GROUP: usize = 2;
const IDLE_PRIORITY: usize = 3 << 13;

const F_GET_RW_HINT: usize = 1035;
const F_SET_RW_HINT: usize = 1036;
const F_SETSIG: usize = 10;
const F_GETSIG: usize = 11;
const HINT: u64 = 5;

/// Sets or reads the hint for the lifetime of written data, which belongs to the file, not the descriptor.
fn write_hint(command: usize, hint: u64) -> Answer {
    let mut value = hint;
    let program = match File::open("/udf") {
        Ok(file) => file,
        Err(error) => return error.into(),
    };
    match call(
        libc::SYS_fcntl,
        &[program.as_raw_fd() as usize, command, at(&mut value)],
    ) {
        Ok(_) if command == F_GET_RW_HINT => Answer::done_if(value == HINT),
        other => other.into(),
    }
}

fn fcntl(fd: usize, command: usize, value: usize) -> Answer {
    call(libc::SYS_fcntl, &[fd, command, value]).into()
}

const LEFT_FLAGS: i32 = libc::O_NONBLOCK | libc::O_APPEND;

fn leave_flags(fd: usize) -> Answer {
    fcntl(fd, libc::F_SETFL as usize, LEFT_FLAGS as usize)
}

fn find_flags(fd: usize) -> Answer {
    match call(libc::SYS_fcntl, &[fd, libc::F_GETFL as usize]) {
        Ok(flags) => Answer::done_if(flags & LEFT_FLAGS as usize == LEFT_FLAGS as usize),
        Err(error) => error.into(),
    }
}

/// Locks a part of a file, or queries its lock. Returns `Done` if another process holds one.
fn record_lock(fd: usize, command: i32) -> Answer {
    let queries = [libc::F_GETLK, libc::F_OFD_GETLK].contains(&command);
    let kind = if queries {
        libc::F_WRLCK
    } else {
        libc::F_RDLCK
    };
    // struct flock: type and whence, start, length, pid.
    let mut lock = [kind as u64, 0x5ec4e7, 1, 0];
    match call(libc::SYS_fcntl, &[fd, command as usize, at(&mut lock)]) {
        Ok(_) if queries => Answer::done_if(lock[0] as u16 != libc::F_UNLCK as u16),
        other => other.into(),
    }
}

/// The same with the program. A lock to read takes a file that is open to read.
fn lock_program(command: i32) -> Answer {
    match File::open("/udf") {
        Ok(program) => {
            let answer = record_lock(program.as_raw_fd() as usize, command);
            std::mem::forget(program);
            answer
        }
        Err(error) => error.into(),
    }
}

/// Maps the first page of the program.
fn map_program(kind: i32) -> io::Result<usize> {
    let program = File::open("/udf")?;
    let map = [
        0,
        4096,
        libc::PROT_READ as usize,
        kind as usize,
        program.as_raw_fd() as usize,
        0,
    ];
    call(libc::SYS_mmap, &map)
}

/// What every ELF file begins with, as a number.
const ELF: usize = 0x464c_457f;

/// Waits on a page of the program. Not private to the process: the kernel compares files.
fn wait_on_program(kind: i32) -> Answer {
    let wait = || {
        let mut patience = [0_i64, 500_000_000];
        let page = map_program(kind)?;
        call(
            libc::SYS_futex,
            &[page, libc::FUTEX_WAIT as usize, ELF, at(&mut patience)],
        )
    };
    match wait() {
        Ok(_) => Answer::done(),
        Err(error) if error.raw_os_error() == Some(libc::ETIMEDOUT) => Answer::Nothing,
        Err(error) => error.into(),
    }
}

fn wake_on_program(kind: i32) {
    if let Ok(page) = map_program(kind) {
        let _ = call(
            libc::SYS_futex,
            &[page, libc::FUTEX_WAKE as usize, i32::MAX as usize],
        );
        let _ = call(libc::SYS_munmap, &[page, 4096]);
    }
}

/// Returns `Done` if standard input is a shared device and was changed recently.
fn find_time() -> Answer {
    let input = std::mem::ManuallyDrop::new(adopt(0));
    match input.metadata() {
        Ok(input) => Answer::done_if(input.file_type().is_char_device() && is_recent(&input)),
        Err(error) => error.into(),
    }
}

fn is_recent(file: &Metadata) -> bool {
    let age = file.modified().map(|changed| changed.elapsed());
    matches!(age, Ok(Ok(age)) if age < Duration::from_secs(30))
}

fn find_host_name() -> Answer {
    let mut names = [0_u8; 65 * 6];
    match call(libc::SYS_uname, &[at(&mut names)]) {
        Ok(_) => Answer::done_if(names[65..].starts_with(b"left")),
        Err(error) => error.into(),
    }
}
