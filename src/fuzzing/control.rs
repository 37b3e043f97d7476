//! Messages on the control connection.

use roma_protocol::control::{
    FromRunWorkers, Load, MAX_BINARY_BYTES, MAX_LIST, MAX_SPAWNERS, MAX_STRING_BYTES, ToRunWorkers,
};
use roma_sandbox::seccomp::FilterLevel;

/// A message that `run_workers` accepts has exactly one encoding and satisfies all limits.
pub fn to_run_workers(packet: &[u8]) {
    let Ok(message) = ToRunWorkers::decode(packet) else {
        return;
    };
    assert_eq!(message.encode(), packet);
    if let ToRunWorkers::Load(load) = message {
        check_numbers(&load);
        check_strings(&load);
    }
}

/// A message that the host accepts has exactly one encoding.
pub fn from_run_workers(packet: &[u8]) {
    if let Ok(message) = FromRunWorkers::decode(packet) {
        assert_eq!(message.encode(), packet);
    }
}

fn check_numbers(load: &Load) {
    assert!((1..=MAX_SPAWNERS).contains(&usize::from(load.spawners)));
    assert!((1..=MAX_BINARY_BYTES).contains(&load.binary_bytes));
    assert!(load.private_ipc || load.filter != FilterLevel::None);
    assert!(load.libraries.len() <= MAX_LIST);
    assert!(load.environment.len() <= MAX_LIST);
    assert!(load.arguments.len() <= MAX_LIST);
}

fn check_strings(load: &Load) {
    for string in load.environment.iter().chain(&load.arguments) {
        assert!(is_c_string(string));
    }
    for mount in &load.libraries {
        assert!(is_plain(&mount.source) && is_plain(&mount.target));
        let first = mount.target.split(|byte| *byte == b'/').nth(1);
        let ours: [&[u8]; 4] = [b"", b"udf", b"tmp", b"proc"];
        assert!(first.is_some_and(|first| !ours.contains(&first)));
    }
}

fn is_c_string(string: &[u8]) -> bool {
    string.len() <= MAX_STRING_BYTES && !string.contains(&0)
}

fn is_plain(path: &[u8]) -> bool {
    let text = String::from_utf8_lossy(path);
    is_c_string(path) && text.starts_with('/') && !text.split('/').any(|part| part == "..")
}
