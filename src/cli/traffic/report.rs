//! What was measured, for people and as a line of JSON.

use std::fmt::Write;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};

use super::generate::Measured;
use super::statistics::Times;
use crate::output::summary::short;

/// The longest bar of a histogram.
const BAR: usize = 40;

/// Returns the statistics, under the names that other tools read.
pub fn statistics(measured: &Measured) -> Value {
    json!({
        "total_elapsed": format!("{:.9}s", measured.elapsed.as_secs_f64()),
        "total_bursts": measured.bursts,
        "total_invocation_count": measured.invocations(),
        "late_count": measured.late,
        "late_burst_pct": measured.late_percent(),
        "failure_count": measured.failures,
        "failure_pct": measured.failure_percent(),
        "first_failure": measured.first_failure,
        "burst_creation_latencies": measured.creation.json(),
        "burst_processing_latencies": measured.processing.json(),
        "invocation_latencies": measured.invocation.json(),
        "invocation_outputs": measured.run.json(),
        "wait_latencies": measured.wait.json(),
    })
}

/// Returns facts about the machine and this process.
pub fn system() -> Value {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    json!({
        "hardware_thread_count": std::thread::available_parallelism().map_or(0, usize::from),
        "memory_kib": field(&meminfo, "MemTotal:"),
        "memory_used_kib": field(&status, "VmRSS:"),
        "linux_kernel": kernel.trim(),
        "rlimit_sigpending": field(&limits, "Max pending signals"),
    })
}

/// Returns the first number after a name.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Appends a line to a file.
pub fn append(path: &Path, report: &Value) -> anyhow::Result<()> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.and_then(|mut file| writeln!(file, "{report}"))
        .with_context(|| path.display().to_string())
}

/// Returns the numbers and the histogram of one run.
pub fn text(measured: &Measured) -> String {
    let mut text = format!(
        "{} bursts, {} calls in {}: {} bursts late ({:.1} %), {} calls failed ({:.1} %)\n",
        measured.bursts,
        measured.invocations(),
        short(measured.elapsed),
        measured.late,
        measured.late_percent(),
        measured.failures,
        measured.failure_percent(),
    );
    if let Some(failure) = &measured.first_failure {
        let _ = writeln!(text, "the first failure: {failure}");
    }
    let _ = writeln!(
        text,
        "\n{:<18}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}",
        "", "min", "p50", "p90", "p99", "p99.9", "max"
    );
    let rows = [
        ("a call", &measured.invocation),
        ("  its worker", &measured.wait),
        ("  its answer", &measured.run),
        ("a burst", &measured.processing),
        ("to begin a burst", &measured.creation),
    ];
    for (name, times) in rows {
        let _ = writeln!(text, "{}", row(name, times));
    }
    text.push('\n');
    text.push_str(&picture(&measured.invocation));
    text
}

fn row(name: &str, times: &Times) -> String {
    let cells = [
        times.min(),
        times.percentile(50.0),
        times.percentile(90.0),
        times.percentile(99.0),
        times.percentile(99.9),
        times.max(),
    ];
    let cells: String = cells.map(|time| format!("{:>10}", short(time))).concat();
    format!("{name:<18}{cells}")
}

/// Returns the histogram as bars.
fn picture(times: &Times) -> String {
    let ranges = times.ranges();
    let most = ranges.iter().map(|(_, count)| *count).max().unwrap_or(0);
    let mut text = String::new();
    for (end, count) in ranges {
        let length = (count * BAR as u64).div_ceil(most.max(1)) as usize;
        let _ = writeln!(
            text,
            "up to {:>9} {:<BAR$} {count}",
            short(end),
            "█".repeat(length)
        );
    }
    text
}

/// Returns one row of a search.
pub fn step(name: &str, measured: &Measured, good: bool) -> String {
    format!(
        "{name:>12}  late {:>5.1} %  failed {:>5.1} %  p99 {:>9}  {}",
        measured.late_percent(),
        measured.failure_percent(),
        short(measured.invocation.percentile(99.0)),
        if good { "good" } else { "too much" },
    )
}

/// Returns the share of bad calls for one length.
pub fn share(length: Duration, percent: f64) -> Value {
    json!({ "duration_ms": length.as_secs_f64() * 1e3, "failure_pct": percent })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_80_columns_wide_at_most() {
        let mut measured = Measured::default();
        for millis in [1, 2, 3, 900, 60_000] {
            measured.invocation.record(Duration::from_millis(millis));
        }
        measured.bursts = 5;
        let text = text(&measured);
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        assert!(text.contains("5 calls") && text.contains('█'), "{text}");
    }

    #[test]
    fn the_machine_is_described() {
        let system = system();
        assert!(system["memory_kib"].as_u64().unwrap() > 0, "{system}");
        assert!(system["hardware_thread_count"].as_u64().unwrap() > 0);
        assert!(!system["linux_kernel"].as_str().unwrap().is_empty());
    }
}
