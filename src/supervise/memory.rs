//! The memory that this machine or container has, and whether it ran out.

use std::fs;
use std::path::Path;

use roma_sandbox::cgroup::Hierarchies;

/// What a process may use by default: this part of the memory that there is.
const SHARE: u64 = 4;

/// Returns how many bytes of memory this process may use: the machine's, or the least that a control
/// group around it allows. `None` if neither can be read.
#[must_use]
pub fn available() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| field(&text, "MemTotal:"))
        .map(|kilobytes| kilobytes * 1024);
    let hierarchies = Hierarchies::discover();
    let groups = hierarchies.memory().into_iter().flat_map(Path::ancestors);
    let limits = groups.filter_map(|folder| {
        let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
        let text = read("memory.max").or_else(|| read("memory.limit_in_bytes"))?;
        // Version 2 writes `max` for no limit.
        text.trim().parse().ok()
    });
    limits.chain(machine).min()
}

/// Returns the default limit of memory for one process of a UDF: a quarter of what there is.
#[must_use]
pub fn default_limit() -> Option<u64> {
    available().map(|bytes| bytes / SHARE)
}

/// Returns how many processes the kernel has ended so far because memory ran out: in the control group of
/// this process, or else on the whole machine.
pub(crate) fn kills() -> u64 {
    let hierarchies = Hierarchies::discover();
    let in_group = hierarchies.memory().and_then(|folder| {
        let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
        let text = read("memory.events").or_else(|| read("memory.oom_control"))?;
        field(&text, "oom_kill")
    });
    let on_machine = || field(&fs::read_to_string("/proc/vmstat").ok()?, "oom_kill");
    in_group.or_else(on_machine).unwrap_or(0)
}

/// Returns the number behind a name at the beginning of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some(name)).then(|| words.next()?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_memory_and_a_process_gets_a_part_of_it_by_default() {
        let all = available().unwrap();
        assert!(all > 64 << 20, "{all}");
        assert_eq!(default_limit(), Some(all / SHARE));
    }

    #[test]
    fn a_field_is_the_number_behind_its_whole_name() {
        let text = "low 0\noom 3\noom_kill 2\noom_group_kill 1\n";
        assert_eq!(field(text, "oom_kill"), Some(2));
        assert_eq!(field(text, "oom_k"), None);
        assert_eq!(field("MemTotal:       24 kB", "MemTotal:"), Some(24));
    }
}
