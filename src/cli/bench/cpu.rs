//! Processor time of the whole machine: the only count that misses none of the processes that take
//! part, inside and outside sandboxes. Whatever else runs on the machine is in it too.

use std::time::Duration;

/// Linux counts in hundredths of a second for every program.
const TICK: Duration = Duration::from_millis(10);

/// The time that all processors have been busy since the machine started.
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
    // user, nice, system, then idle and waiting for disks, which are not busy; then interrupts.
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
