//! The results for a terminal.

use std::fmt::Write;
use std::time::Duration;

use super::super::record::{Case, Record, families};
use super::super::statistics::median;
use super::payload::size;
use crate::output::summary::short;
use crate::output::terminal::{WIDTH, wrapped};

/// The width of the column of arguments.
const ARGUMENTS: usize = 32;

const LEGEND: &str = "Time is the median of all repetitions, CPU the machine's for each iteration; \
    +- is how far the repetitions are apart. mode:0 is gvisor, mode:1 minimal; udf:1 says hello, udf:2 \
    finds primes; lang:0 is C++, lang:1 Go, lang:3 Rust; with log:1 what is printed is kept; payloads \
    are size/count/mode.";

/// The whole result.
pub fn text(record: &Record) -> String {
    let mut text = format!(
        "{:<ARGUMENTS$}{:>10}{:>6}{:>10}{:>11}{:>11}\n",
        "Benchmark", "Time", "+-", "CPU", "Iterations", "Bytes/s"
    );
    for (family, cases) in families(record.cases()) {
        let _ = writeln!(text, "{family}");
        text.extend(cases.iter().map(row));
    }
    let _ = writeln!(text, "\n{}", wrapped(LEGEND, WIDTH).join("\n"));
    if cfg!(debug_assertions) {
        text.push_str("\nThis program was built without optimization: use -c opt.\n");
    }
    text
}

fn row(case: &Case<'_>) -> String {
    let arguments = case.parts().1;
    let mut text = format!("  {arguments:<width$}", width = ARGUMENTS - 2);
    if text.chars().count() > ARGUMENTS {
        text = format!("{text}\n{:ARGUMENTS$}", "");
    }
    if !case.times().is_empty() {
        let cells = format!(
            "{:>10}{:>6}{:>10}{:>11}{:>11}",
            time(median(&case.times())),
            spread(&case.times()),
            time(case.cpu()),
            case.iterations(),
            case.bytes_per_second().map(size).unwrap_or_default(),
        );
        text.push_str(cells.trim_end());
    }
    text.push('\n');
    if let Some(failure) = case.failure() {
        for line in wrapped(&format!("failed: {failure}"), WIDTH - 4) {
            let _ = writeln!(text, "    {line}");
        }
    }
    text
}

/// Formats nanoseconds with their unit.
pub fn time(nanos: f64) -> String {
    short(Duration::from_secs_f64(nanos / 1e9))
}

/// Returns the largest distance of a time from the median.
pub fn spread(times: &[f64]) -> String {
    let middle = median(times);
    let farthest = times
        .iter()
        .map(|time| (time - middle).abs())
        .fold(0.0, f64::max);
    format!("{:.0} %", 100.0 * farthest / middle)
}

#[cfg(test)]
mod tests {
    use super::super::super::record::Run;
    use super::*;

    fn run(name: &str, time: f64) -> Run {
        Run {
            name: name.to_owned(),
            iterations: 123_456_789,
            time,
            cpu: 999.0 * 1e6,
            bytes_per_second: Some(999.9 * 1_048_576.0),
            ..Run::default()
        }
    }

    #[test]
    fn it_is_80_columns_wide_at_most() {
        let mut record = Record::here();
        let long =
            "BM_ProcessRequestUsingCallback/mode:0/udf:2/num_workers:100/lang:3/filter:engine";
        record.runs = vec![
            run("BM_LoadBinary/mode:0", 9.0e8),
            run("BM_LoadBinary/mode:0", 1.1e9),
            run(long, 2e9),
            Run {
                failure_rate: 1.0,
                failure: Some("a reason with many words ".repeat(9)),
                ..Run {
                    iterations: 0,
                    ..run("BM_Other/mode:1", 0.0)
                }
            },
        ];
        let text = text(&record);
        for line in text.lines() {
            assert!(line.chars().count() <= WIDTH, "{line}");
        }
        assert!(text.contains("1.00 s  10 %"), "{text}");
        assert!(text.contains("999.9MiB"), "{text}");
        assert!(text.contains("failed: a reason"), "{text}");
        assert_eq!(text.matches("\nBM_LoadBinary\n").count(), 1, "{text}");
    }
}
