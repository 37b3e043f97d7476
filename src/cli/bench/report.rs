//! The results for people and for programs.

use std::fmt;
use std::time::Duration;

use roma_byob::Service;
use serde_json::{Value, json};

use super::floor::Floor;
use super::service::Run;
use crate::output::summary::{micros, short};

/// One measurement of the service.
#[derive(Debug)]
pub struct Row {
    pub workers: u32,
    pub concurrency: usize,
    /// Whether every request found a ready worker.
    pub hot: bool,
    /// The number of hostile processes beside it.
    pub neighbours: u32,
    pub run: Run,
}

/// The results of a run.
#[derive(Debug)]
pub struct Report {
    mode: String,
    platform: Option<String>,
    filter: String,
    start: Duration,
    pub floors: Vec<Floor>,
    pub loads: Vec<Duration>,
    pub rows: Vec<Row>,
}

impl Report {
    pub fn new(service: &Service, start: Duration) -> Self {
        Self {
            mode: service.mode().to_string(),
            platform: service.platform().map(|platform| platform.to_string()),
            filter: service.syscall_filter().to_string(),
            start,
            floors: Vec::new(),
            loads: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// The floor with the best number of loops.
    fn best_floor(&self) -> Option<&Floor> {
        self.floors
            .iter()
            .filter(|floor| !floor.hot)
            .max_by(|one, other| one.rate().total_cmp(&other.rate()))
    }

    pub fn json(&self) -> Value {
        json!({
            "mode": self.mode,
            "platform": self.platform,
            "filter": self.filter,
            "start_us": micros(self.start),
            "load_us": self.loads.iter().map(|time| micros(*time)).collect::<Vec<_>>(),
            "floor": self.floors.iter().map(floor_json).collect::<Vec<_>>(),
            "floor_best_rps": self.best_floor().map(Floor::rate),
            "service": self.rows.iter().map(|row| self.row_json(row)).collect::<Vec<_>>(),
        })
    }

    fn row_json(&self, row: &Row) -> Value {
        let run = &row.run;
        json!({
            "workers": row.workers,
            "concurrency": row.concurrency,
            "hot": row.hot,
            "neighbours": row.neighbours,
            "requests": run.requests,
            "failures": run.failures,
            "first_failure": run.first_failure,
            "rps": run.rate(),
            "of_floor": self.best_floor().map(|floor| run.rate() / floor.rate()),
            "latency_us": run.total.json(),
            "queue_us": run.queue.json(),
            "send_us": run.send.json(),
            "run_us": run.run.json(),
            "cpu_us_for_each": micros(run.cpu_for_each()),
            "cpu_of_floor": self
                .best_floor()
                .map(|floor| micros(run.cpu_for_each()) / micros(floor.cpu_for_each()).max(1.0)),
        })
    }
}

fn floor_json(floor: &Floor) -> Value {
    json!({
        "loops": floor.loops,
        "hot": floor.hot,
        "cycles": floor.cycles,
        "rps": floor.rate(),
        "rps_each_time": floor.rates,
        "latency_us": floor.total().json(),
        "cpu_us_for_each": micros(floor.cpu_for_each()),
    })
}

const HEADINGS: [&str; COLUMNS] = [
    "workers/clients",
    "req/s",
    "of floor",
    "p50",
    "p90",
    "p99",
    "queue",
    "CPU each",
];
const COLUMNS: usize = 8;
/// The width of all columns but the first, which has the rest of 80.
const WIDTHS: [usize; COLUMNS - 1] = [6, 9, 10, 10, 10, 10, 10];

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let platform = self
            .platform
            .as_ref()
            .map(|name| format!(" ({name})"))
            .unwrap_or_default();
        writeln!(f, "mode {}{platform}, filter {}", self.mode, self.filter)?;
        writeln!(f, "service started in {}", short(self.start))?;
        let loads: Vec<_> = self.loads.iter().map(|time| short(*time)).collect();
        writeln!(
            f,
            "binary loaded to the first ready worker in {}\n",
            loads.join(", ")
        )?;
        line(f, &HEADINGS.map(str::to_owned))?;
        let best = self.best_floor().map(Floor::rate);
        for floor in &self.floors {
            line(f, &floor_cells(floor, best))?;
        }
        for row in &self.rows {
            line(f, &row_cells(row, best))?;
        }
        if let Some([before, after]) = self.best_floor().map(|floor| &floor.rates[..]) {
            writeln!(
                f,
                "\nThe best floor was {before:.0} before the service and {after:.0} after."
            )?;
        }
        for row in self.rows.iter().filter(|row| row.run.failures > 0) {
            let first = row.run.first_failure.as_deref().unwrap_or_default();
            writeln!(
                f,
                "\n{} of {} requests failed: {first}",
                row.run.failures, row.run.requests
            )?;
        }
        Ok(())
    }
}

fn floor_cells(floor: &Floor, best: Option<f64>) -> [String; COLUMNS] {
    let total = floor.total();
    [
        format!("floor {}{}", floor.loops, hot(floor.hot)),
        rate(floor.rate(), floor.hot),
        ratio(floor.rate(), best.filter(|_| !floor.hot)),
        short(total.p50),
        short(total.p90),
        short(total.p99),
        String::new(),
        short(floor.cpu_for_each()),
    ]
}

fn row_cells(row: &Row, best: Option<f64>) -> [String; COLUMNS] {
    let Run { total, queue, .. } = &row.run;
    [
        name(row),
        rate(row.run.rate(), row.hot),
        ratio(row.run.rate(), best.filter(|_| !row.hot)),
        short(total.p50),
        short(total.p90),
        short(total.p99),
        short(queue.p50),
        short(row.run.cpu_for_each()),
    ]
}

fn name(row: &Row) -> String {
    let beside = match row.neighbours {
        0 => String::new(),
        neighbours => format!(" +{neighbours}"),
    };
    format!(
        "{}/{}{}{beside}",
        row.workers,
        row.concurrency,
        hot(row.hot)
    )
}

fn hot(hot: bool) -> &'static str {
    if hot { " hot" } else { "" }
}

/// A client that waits before each request has no meaningful rate.
fn rate(rate: f64, hot: bool) -> String {
    if hot {
        String::new()
    } else {
        format!("{rate:.0}")
    }
}

fn ratio(rate: f64, best: Option<f64>) -> String {
    best.map(|best| format!("{:.2}", rate / best))
        .unwrap_or_default()
}

fn line(f: &mut fmt::Formatter<'_>, cells: &[String; COLUMNS]) -> fmt::Result {
    write!(f, "{:<15}", cells[0])?;
    for (cell, width) in cells[1..].iter().zip(WIDTHS) {
        write!(f, "{cell:>width$}")?;
    }
    writeln!(f)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::summary::Summary;
    use crate::output::terminal::WIDTH;

    #[test]
    fn columns_stay_apart_in_80_columns() {
        let slow = Duration::from_micros(999_990);
        let times = Summary::of(vec![slow]);
        let row = Row {
            workers: 8,
            concurrency: 8,
            hot: false,
            neighbours: 8,
            run: Run {
                requests: 99_999,
                time: Duration::from_secs(1),
                cpu: 99_999 * slow,
                total: times,
                queue: times,
                ..Run::default()
            },
        };
        let report = Report {
            mode: "gvisor".to_owned(),
            platform: None,
            filter: "strict".to_owned(),
            start: slow,
            floors: Vec::new(),
            loads: vec![slow; 3],
            rows: vec![row],
        };
        let text = report.to_string();
        for line in text.lines() {
            assert!(line.chars().count() <= WIDTH, "{line}");
        }
        assert_eq!(text.matches(" 999.99 ms").count(), 9, "{text}");
    }
}
