//! A UDF for tests: does what its request says and responds with the result. A request is a command and
//! its arguments, separated by spaces.
#![allow(unsafe_code, clippy::expect_used)]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::mem::ManuallyDrop;
use std::os::fd::{FromRawFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use roma_protocol::byob::frame::{FrameDecoder, LengthPrefix};

fn main() {
    let number = std::env::args()
        .nth(1)
        .expect("a descriptor as first argument");
    let mut data = stream(number.parse().expect("a number"));
    data.write_all(b"!").expect("to say that it is ready");
    let request = read_message(&mut data);
    let request = String::from_utf8(request).expect("a text as request");
    let response = answer(&request);
    write_message(&mut data, response.as_bytes());
    end(&request);
}

fn stream(number: RawFd) -> ManuallyDrop<File> {
    // SAFETY: by the contract of UDFs the descriptor is open. This program never closes it.
    ManuallyDrop::new(unsafe { File::from_raw_fd(number) })
}

fn read_message(stream: &mut File) -> Vec<u8> {
    let mut decoder = FrameDecoder::new(16 << 20);
    let mut buffer = [0; 64 * 1024];
    while !decoder.is_complete() {
        match stream.read(&mut buffer).expect("to read") {
            0 => break,
            count => {
                decoder.push(&buffer[..count]).expect("a valid frame");
            }
        }
    }
    match decoder.finish() {
        Ok(message) => message,
        // The host closed the connection without a request: the usual end of an idle worker.
        Err(_) => std::process::exit(0),
    }
}

fn write_message(stream: &mut File, message: &[u8]) {
    let prefix = LengthPrefix::new(message.len());
    let bytes = [prefix.as_bytes(), message].concat();
    stream.write_all(&bytes).expect("to answer");
}

fn answer(request: &str) -> String {
    let (command, rest) = request.split_once(' ').unwrap_or((request, ""));
    match command {
        "echo" => rest.to_owned(),
        "arguments" => std::env::args().collect::<Vec<_>>().join(" "),
        "environment" => std::env::vars()
            .map(|(name, value)| format!("{name}={value}\n"))
            .collect(),
        "descriptors" => descriptors(),
        "files" => files(Path::new("/")),
        "write" => write_file(rest),
        "fill" => fill(rest),
        "log" => log(rest),
        "call_host" => call_host(rest),
        "identity" => identity(),
        "capabilities" => capabilities(),
        "read" => fs::read_to_string(rest).unwrap_or_else(|error| errno(&error)),
        "link" => fs::read_link(rest)
            .map_or_else(|error| errno(&error), |path| path.display().to_string()),
        "syscall" => syscall(rest),
        "limit" => limit(rest),
        "processes" => processes(),
        "mask" => mask(),
        "hang" => hang(),
        "burn" => burn(rest),
        "touch_memory" => touch_memory(rest),
        "crash_early" => std::process::abort(),
        _ => String::new(),
    }
}

/// Ends the program as the request says, after the response was written.
fn end(request: &str) {
    match request.split_once(' ') {
        Some(("exit", code)) => std::process::exit(code.parse().expect("a number")),
        Some(("signal", number)) => {
            let number = number.parse().expect("a number");
            // SAFETY: takes numbers. The defaults are restored, so that the signal has its effect even if
            // this process is process 1, which its own signals do not kill otherwise.
            unsafe {
                libc::signal(number, libc::SIG_DFL);
                libc::kill(libc::getpid(), number);
            }
        }
        Some(("fault", _)) => {
            // SAFETY: none. That is the purpose: the kernel kills even process 1 for it.
            unsafe { std::ptr::null_mut::<u8>().add(8).write_volatile(1) }
        }
        _ => {}
    }
}

fn errno(error: &std::io::Error) -> String {
    format!("errno {}", error.raw_os_error().unwrap_or_default())
}

fn descriptors() -> String {
    (0..4096)
        // SAFETY: takes numbers.
        .filter(|number| unsafe { libc::fcntl(*number, libc::F_GETFD) } >= 0)
        .map(|number| number.to_string())
        .collect::<Vec<_>>()
        .join(" ")
}

fn files(folder: &Path) -> String {
    let Ok(entries) = fs::read_dir(folder) else {
        return String::new();
    };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let within = if path.is_dir() && !path.is_symlink() {
                files(path)
            } else {
                String::new()
            };
            format!("{}\n{within}", path.display())
        })
        .collect()
}

fn write_file(path: &str) -> String {
    let written = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path);
    match written.and_then(|mut file| file.write_all(b"x")) {
        Ok(()) => "written".to_owned(),
        Err(error) => errno(&error),
    }
}

fn fill(path: &str) -> String {
    let mut file = File::create(path).expect("a file");
    let mut bytes = 0;
    loop {
        match file.write(&[7; 4096]) {
            Ok(count) => bytes += count,
            Err(error) => return format!("{bytes} {}", errno(&error)),
        }
    }
}

fn log(text: &str) -> String {
    println!("out {text}");
    eprintln!("err {text}");
    String::new()
}

fn call_host(text: &str) -> String {
    let mut host = stream(4);
    write_message(&mut host, text.as_bytes());
    String::from_utf8(read_message(&mut host)).expect("a text")
}

fn identity() -> String {
    let mut name = [0; 64];
    // SAFETY: these take nothing, or a buffer with its length.
    let (pid, parent, session, uid, gid) = unsafe {
        libc::gethostname(name.as_mut_ptr().cast(), name.len());
        (
            libc::getpid(),
            libc::getppid(),
            libc::getsid(0),
            libc::getuid(),
            libc::getgid(),
        )
    };
    let name = String::from_utf8_lossy(&name);
    let name = name.trim_end_matches('\0');
    format!("pid {pid} parent {parent} session {session} uid {uid} gid {gid} host {name}")
}

fn capabilities() -> String {
    let header = [0x2008_0522u32, 0];
    let mut words = [u32::MAX; 6];
    // SAFETY: version 3 takes a header of two words and gives six.
    let result = unsafe { libc::syscall(libc::SYS_capget, header.as_ptr(), words.as_mut_ptr()) };
    assert_eq!(result, 0);
    // SAFETY: take numbers.
    let (no_new_privileges, seccomp) = unsafe {
        (
            libc::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
            libc::prctl(libc::PR_GET_SECCOMP),
        )
    };
    format!("{words:?} no_new_privs {no_new_privileges} seccomp {seccomp}")
}

/// Makes any system call with numbers as arguments. Responds with its result or error number.
fn syscall(rest: &str) -> String {
    let mut numbers = rest
        .split(' ')
        .map(|word| word.parse::<i64>().expect("numbers"));
    let call = numbers.next().expect("a number");
    let mut arguments = [0i64; 6];
    arguments
        .iter_mut()
        .zip(numbers)
        .for_each(|(to, from)| *to = from);
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: tests request only calls that fail or that change nothing that this program uses.
    let result = unsafe { libc::syscall(call, a, b, c, d, e, f) };
    if result == 0 && call == libc::SYS_clone {
        // A copy of this program, which must not respond as well.
        std::process::exit(0);
    }
    if result < 0 {
        errno(&std::io::Error::last_os_error())
    } else {
        format!("result {result}")
    }
}

fn limit(resource: &str) -> String {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    let resource: u32 = resource.parse().expect("a number");
    // SAFETY: the pointer is to a live rlimit.
    let result = unsafe { libc::getrlimit(resource as _, &mut limit) };
    format!("{result} {} {}", limit.rlim_cur, limit.rlim_max)
}

/// Counts how many processes can be alive at the same time, including this one.
fn processes() -> String {
    let mut count = 1;
    loop {
        // SAFETY: the child only waits until it is killed.
        match unsafe { libc::fork() } {
            0 => loop {
                // SAFETY: takes nothing.
                unsafe { libc::pause() };
            },
            -1 => break,
            _ => count += 1,
        }
        if count == 500 {
            break;
        }
    }
    count.to_string()
}

/// Returns which signals are blocked, and the action of SIGCHLD, at the start.
fn mask() -> String {
    let mut blocked = 0u64;
    let mut action = [0u64; 4];
    // SAFETY: the kernel writes eight bytes, then one kernel sigaction of at most 32.
    unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, 0, 0, &raw mut blocked, 8);
        libc::syscall(
            libc::SYS_rt_sigaction,
            libc::SIGCHLD,
            0,
            action.as_mut_ptr(),
            8,
        );
    }
    format!("blocked {blocked} sigchld {}", action[0])
}

/// Never responds, has children and grandchildren, ignores the signals that can be ignored.
fn hang() -> String {
    for signal in [libc::SIGTERM, libc::SIGHUP, libc::SIGINT] {
        // SAFETY: SIG_IGN is not a handler.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    for _ in 0..2 {
        // SAFETY: the children continue in this function.
        unsafe { libc::fork() };
        // SAFETY: takes nothing.
        unsafe { libc::setsid() };
    }
    loop {
        std::thread::sleep(Duration::from_secs(1000));
    }
}

fn burn(millis: &str) -> String {
    let until = Duration::from_millis(millis.parse().expect("a number"));
    let begun = Instant::now();
    let mut sum = 0u64;
    while begun.elapsed() < until {
        sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(1));
    }
    "burnt".to_owned()
}

fn touch_memory(bytes: &str) -> String {
    let bytes = bytes.parse().expect("a number");
    let mut memory = Vec::new();
    if memory.try_reserve_exact(bytes).is_err() {
        return "refused".to_owned();
    }
    memory.resize(bytes, 7u8);
    let sum: u64 = memory
        .iter()
        .step_by(4096)
        .map(|byte| u64::from(*byte))
        .sum();
    let own = fs::metadata("/udf").map_or(0, |file| file.size());
    format!("touched {sum} {own}")
}
