//! Processor time of the whole machine: the only measure that includes all processes that take
//! part, inside and outside sandboxes. It also includes everything else that runs on the machine.

use std::time::Duration;

/// The unit in which Linux counts: hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// Returns the busy time of all processors since the machine started.
pub fn busy() -> Duration {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    busy_of(&stat)
}

fn busy_of(stat: &str) -> Duration {
    let fields = stat
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1);
    let ticks: Vec<u32> = fields.filter_map(|field| field.parse().ok()).collect();
    // The fields are user, nice, system, idle, iowait (the last two are not busy), then interrupts.
    let busy = ticks.iter().take(3).chain(ticks.iter().skip(5).take(2));
    TICK * busy.sum::<u32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_does_not_count() {
        let stat = "cpu  10 1 5 1000 200 3 2 50 0 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        assert_eq!(busy_of(stat), Duration::from_millis(210));
        assert_eq!(busy_of(""), Duration::ZERO);
    }
}
