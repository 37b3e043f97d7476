//! What isolates each process of a service, and what to do next.

use std::io::{self, Write};

use roma_byob::{Mode, Service, SyscallFilter};

use super::screen::Screen;
use crate::output::terminal::Colour;

/// Returns each layer in words.
pub fn layers(service: &Service, has_libraries: bool) -> Vec<String> {
    let root = match has_libraries {
        true => "a read-only root that holds its program and the requested libraries",
        false => "a read-only root that holds its program and nothing else",
    };
    vec![
        outer(service.mode()),
        "PID, mount, IPC, UTS and user namespaces of its own, and no network".to_owned(),
        filter(service.syscall_filter()),
        root.to_owned(),
        "no capability, and no way to get one (no_new_privs)".to_owned(),
        "one connection (descriptor 3) and an empty environment".to_owned(),
    ]
}

fn outer(mode: Mode) -> String {
    match mode {
        Mode::Minimal => "NO gVisor: this machine's own kernel answered its system calls",
        Mode::External => "the sandbox around this container, if there is one",
        Mode::Gvisor | Mode::GvisorDebug => {
            "gVisor: a kernel in user space answered its system calls"
        }
    }
    .to_owned()
}

fn filter(filter: SyscallFilter) -> String {
    match filter {
        SyscallFilter::None => "NO system call filter (--filter none)".to_owned(),
        level => format!("a system call filter (seccomp, level {level})"),
    }
}

/// Prints what to do next.
pub fn next_steps<W: Write>(screen: &mut Screen<W>) -> io::Result<()> {
    screen.heading("What to do next")?;
    // Bazel sets this for what `bazel run` starts.
    let roma = match std::env::var_os("BUILD_WORKSPACE_DIRECTORY") {
        Some(_) => "tools/bazel run //src/cli:roma --",
        None => "roma",
    };
    for (command, what) in [
        ("bench", "how fast it is on this machine"),
        ("shell", "load programs and send requests"),
    ] {
        screen.row(&format!("{roma} {command}"), what, Colour::Grey)?;
    }
    screen.row(
        "docs/udf/first-udf.md",
        "write a program for it",
        Colour::Grey,
    )
}
