//! The memory that this machine or container has, and whether it ran out.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use roma_core::ExitStatus;
use roma_sandbox::cgroup::Hierarchies;

/// What a process may use by default: this part of the memory that there is.
const SHARE: u64 = 4;

/// Returns how many bytes of memory this process may use: the machine's, or the least that a control
/// group around it allows. `None` if neither can be read.
pub(crate) fn available() -> Option<u64> {
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

/// Returns the default limit of memory for one process of a UDF: a quarter of what there was when it was
/// first asked for.
#[must_use]
pub fn default_limit() -> Option<u64> {
    static LIMIT: LazyLock<Option<u64>> = LazyLock::new(|| available().map(|bytes| bytes / SHARE));
    *LIMIT
}

/// Returns whether a sandbox that ended by itself was ended because memory ran out, if the kernel has ended
/// any process since it started.
pub(crate) fn ended(exit: Option<ExitStatus>, any_was: impl FnOnce() -> bool) -> bool {
    const SIGKILL: i32 = 9;
    // runsc reports the signal that ended its sandbox like a shell.
    let killed = [ExitStatus::Signal(SIGKILL), ExitStatus::Code(128 + SIGKILL)];
    exit.is_some_and(|exit| killed.contains(&exit)) && any_was()
}

/// Returns how many processes the kernel has ended so far because memory ran out: in the control group of
/// this process, but not in those below it, or else on the whole machine.
pub(crate) fn kills() -> u64 {
    let hierarchies = Hierarchies::discover();
    let in_group = hierarchies.memory().and_then(|folder| {
        let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
        let text = read("memory.events.local").or_else(|| read("memory.oom_control"))?;
        field(&text, "oom_kill")
    });
    let on_machine = || field(&fs::read_to_string("/proc/vmstat").ok()?, "oom_kill");
    in_group.or_else(on_machine).unwrap_or(0)
}

/// Returns the number behind a name at the beginning of a line.
pub(crate) fn field(text: &str, name: &str) -> Option<u64> {
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
    fn only_a_sandbox_that_was_killed_while_memory_ran_out_is_out_of_memory() {
        for killed in [ExitStatus::Signal(9), ExitStatus::Code(137)] {
            assert!(ended(Some(killed), || true));
            assert!(!ended(Some(killed), || false), "somebody else killed it");
        }
        assert!(!ended(Some(ExitStatus::Code(1)), || true));
        assert!(!ended(Some(ExitStatus::Signal(11)), || true));
        assert!(!ended(None, || true), "it still runs");
    }

    #[test]
    fn a_field_is_the_number_behind_its_whole_name() {
        let text = "low 0\noom 3\noom_kill 2\noom_group_kill 1\n";
        assert_eq!(field(text, "oom_kill"), Some(2));
        assert_eq!(field(text, "oom_k"), None);
        assert_eq!(field("MemTotal:       24 kB", "MemTotal:"), Some(24));
    }
}
