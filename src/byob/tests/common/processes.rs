//! Processes, as `/proc` shows them.

use std::fs;

use nix::unistd::Pid;

/// All processes of this machine.
pub fn all() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .map(Pid::from_raw)
}

/// All processes below one, at any depth.
pub fn descendants(process: Pid) -> Vec<Pid> {
    let children = children(process);
    let below: Vec<Pid> = children
        .iter()
        .flat_map(|child| descendants(*child))
        .collect();
    children.into_iter().chain(below).collect()
}

pub fn children(process: Pid) -> Vec<Pid> {
    let threads = fs::read_dir(format!("/proc/{process}/task"))
        .into_iter()
        .flatten();
    let lists = threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let mut children = Vec::new();
    for list in lists {
        children.extend(
            list.split_whitespace()
                .map(|pid| Pid::from_raw(pid.parse().unwrap())),
        );
    }
    children
}

pub fn parent(process: Pid) -> Option<Pid> {
    let parent = status_field(process, "PPid:")?;
    Some(Pid::from_raw(parent.parse().unwrap()))
}

/// The name of a process (`comm`).
pub fn name(process: Pid) -> Option<String> {
    let name = fs::read_to_string(format!("/proc/{process}/comm")).ok()?;
    Some(name.trim_end().to_owned())
}

/// The command line of a process, with spaces between the arguments.
pub fn command_line(process: Pid) -> String {
    let text = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&text).replace('\0', " ")
}

/// A field of `/proc/PID/status`, such as `PPid:`.
pub fn status_field(process: Pid, field: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(field))?;
    Some(value.trim().to_owned())
}

/// Whether a process has ended, even if its parent has not waited for it.
pub fn has_ended(process: Pid) -> bool {
    status_field(process, "State:").is_none_or(|state| state.starts_with('Z'))
}
