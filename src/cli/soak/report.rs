//! The report of a soak: a line for each sample, and a verdict at the end.

use std::time::Duration;

use serde_json::{Value, json};

use super::growth::{Bound, Growth};
use super::load::Tally;
use super::sample::Held;
use crate::output::summary::{Summary, short};

/// One sample.
#[derive(Debug, Clone)]
pub struct Row {
    /// Since the start.
    pub at: Duration,
    held: Held,
    p99: Duration,
    good: usize,
    hostile: usize,
    lasted: Duration,
}

pub const HEADING: &str =
    "   time   host    box  fds thr procs mounts files groups       p99  good/s bad/s";

impl Row {
    pub fn new(at: Duration, lasted: Duration, held: Held, tally: &Tally) -> Self {
        Self {
            at,
            held,
            p99: Summary::of(tally.good.clone()).p99,
            good: tally.good.len(),
            hostile: tally.hostile,
            lasted,
        }
    }

    fn each_second(&self, count: usize) -> f64 {
        count as f64 / self.lasted.as_secs_f64()
    }

    /// At most 80 columns.
    pub fn line(&self) -> String {
        let held = &self.held;
        format!(
            "{:>7}{:>7.1}{:>7.1}{:>5}{:>4}{:>6}{:>7}{:>6}{:>7}{:>10}{:>8.0}{:>6.0}",
            clock(self.at),
            held.host_memory,
            held.sandbox_memory,
            held.descriptors,
            held.threads,
            held.processes,
            held.mounts,
            held.files,
            held.groups,
            short(self.p99),
            self.each_second(self.good),
            self.each_second(self.hostile),
        )
    }

    fn json(&self) -> Value {
        let held = &self.held;
        json!({
            "seconds": self.at.as_secs_f64(),
            "host_mib": held.host_memory,
            "sandbox_mib": held.sandbox_memory,
            "descriptors": held.descriptors,
            "threads": held.threads,
            "processes": held.processes,
            "mounts": held.mounts,
            "files": held.files,
            "groups": held.groups,
            "p99_us": self.p99.as_nanos() as f64 / 1000.0,
            "good": self.good,
            "hostile": self.hostile,
        })
    }
}

fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!(
        "{}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// What is judged, what of a row it is, and how much it may grow.
type Judged = (&'static str, fn(&Row) -> f64, Bound);

/// Numbers of processes, and with them of mounts and descriptors, vary with the requests that are in
/// flight; a leak of one for each request or each load far exceeds these bounds.
fn judged(p99_growth: f64) -> [Judged; 9] {
    let bound = |share, more| Bound { share, more };
    [
        (
            "host memory, MiB",
            |row| row.held.host_memory,
            bound(0.1, 8.0),
        ),
        (
            "sandbox memory, MiB",
            |row| row.held.sandbox_memory,
            bound(0.2, 32.0),
        ),
        (
            "descriptors",
            |row| row.held.descriptors as f64,
            bound(0.1, 8.0),
        ),
        ("threads", |row| row.held.threads as f64, bound(0.1, 4.0)),
        (
            "processes",
            |row| row.held.processes as f64,
            bound(0.1, 4.0),
        ),
        ("mounts", |row| row.held.mounts as f64, bound(0.1, 16.0)),
        ("files", |row| row.held.files as f64, bound(0.0, 1.0)),
        (
            "control groups",
            |row| row.held.groups as f64,
            bound(0.0, 1.0),
        ),
        (
            "p99, ms",
            |row| row.p99.as_secs_f64() * 1e3,
            bound(p99_growth - 1.0, 0.0),
        ),
    ]
}

/// The growth of each series, by name.
#[derive(Debug)]
pub struct Judgement(Vec<(&'static str, Option<Growth>)>);

impl Judgement {
    /// `p99_growth`: how many times as long the 99th percentile may be in the end.
    pub fn of(rows: &[Row], p99_growth: f64) -> Self {
        let growth = |of: fn(&Row) -> f64, bound| {
            let series: Vec<f64> = rows.iter().map(of).collect();
            Growth::of(&series, bound)
        };
        let judged = judged(p99_growth).into_iter();
        Self(
            judged
                .map(|(name, of, bound)| (name, growth(of, bound)))
                .collect(),
        )
    }

    /// Returns what grew beyond its bound, or could not be judged.
    pub fn complaints(&self) -> Vec<String> {
        let complaint = |(name, growth): &(&str, Option<Growth>)| match growth {
            Some(growth) if growth.is_within() => None,
            Some(growth) => Some(format!(
                "{name}: from {:.1} to {:.1}",
                growth.first, growth.last
            )),
            None => Some(format!("{name}: too few looks to tell")),
        };
        self.0.iter().filter_map(complaint).collect()
    }

    pub fn print(&self) {
        println!(
            "\n{:<20}{:>14}{:>14}{:>14}",
            "", "first quarter", "last quarter", "allowed"
        );
        for (name, growth) in &self.0 {
            match growth {
                Some(growth) => println!("{name:<20}{growth}"),
                None => println!("{name:<20}   too few looks to tell"),
            }
        }
    }

    fn json(&self) -> Value {
        let json = |growth: &Option<Growth>| growth.as_ref().map_or(Value::Null, Growth::json);
        self.0
            .iter()
            .map(|(name, growth)| ((*name).to_owned(), json(growth)))
            .collect()
    }
}

/// Returns everything as JSON.
pub fn json(mode: &str, rows: &[Row], judgement: &Judgement, complaints: &[String]) -> Value {
    json!({
        "mode": mode,
        "rows": rows.iter().map(Row::json).collect::<Vec<_>>(),
        "growth": judgement.json(),
        "complaints": complaints,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(change: impl Fn(usize, &mut Row)) -> Vec<Row> {
        let row = |at: usize| {
            let at_time = Duration::from_secs(at as u64 * 60);
            let held = Held {
                descriptors: 40,
                processes: 20,
                ..Held::default()
            };
            let mut row = Row::new(at_time, Duration::from_secs(60), held, &Tally::default());
            change(at, &mut row);
            row
        };
        (0..60).map(row).collect()
    }

    #[test]
    fn what_is_steady_is_not_complained_of() {
        let complaints = Judgement::of(&rows(|_, _| {}), 2.0).complaints();
        assert!(complaints.is_empty(), "{complaints:?}");
    }

    #[test]
    fn each_thing_that_leaks_is_named() {
        let leaking = rows(|at, row| {
            row.held.descriptors += at;
            row.held.groups += at;
        });
        let complaints = Judgement::of(&leaking, 2.0).complaints();
        assert_eq!(complaints.len(), 2, "{complaints:?}");
        assert!(
            complaints[0].starts_with("descriptors") && complaints[1].starts_with("control groups")
        );
    }

    #[test]
    fn slower_and_slower_is_named_beyond_what_is_allowed() {
        let slower = rows(|at, row| row.p99 = Duration::from_millis(1 + at as u64));
        assert_eq!(Judgement::of(&slower, 2.0).complaints().len(), 1);
        assert!(Judgement::of(&slower, 100.0).complaints().is_empty());
    }

    #[test]
    fn lines_fit_into_a_terminal() {
        let mut row = rows(|_, _| {})[0].clone();
        row.held.host_memory = 9999.9;
        row.held.mounts = 99_999;
        row.p99 = Duration::from_micros(999_990);
        assert!(
            HEADING.len() <= 80 && row.line().len() <= 80,
            "{}",
            row.line()
        );
        assert_eq!(HEADING.len(), row.line().len());
    }
}
