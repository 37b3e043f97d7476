//! What was measured, for people and for programs.

use std::fmt;
use std::time::Duration;

use roma_byob::Service;
use serde_json::{Value, json};

use super::floor::Floor;
use super::service::Run;
use crate::summary::short;

/// One measurement of the service.
#[derive(Debug)]
pub struct Row {
    pub workers: u32,
    pub concurrency: usize,
    /// Every request found a worker that was ready.
    pub hot: bool,
    pub run: Run,
}

/// All of them.
#[derive(Debug)]
pub struct Report {
    mode: String,
    platform: Option<String>,
    filter: String,
    start: Duration,
    floors: Vec<Floor>,
    pub loads: Vec<Duration>,
    pub rows: Vec<Row>,
}

impl Report {
    pub fn new(service: &Service, start: Duration, floors: Vec<Floor>) -> Self {
        Self {
            mode: service.mode().to_string(),
            platform: service.platform().map(|platform| platform.to_string()),
            filter: service.syscall_filter().to_string(),
            start,
            floors,
            loads: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// The floor with the best number of loops.
    fn best_floor(&self) -> Option<&Floor> {
        self.floors
            .iter()
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
        "cycles": floor.cycles,
        "rps": floor.rate(),
        "latency_us": floor.total.json(),
        "cpu_us_for_each": micros(floor.cpu_for_each()),
    })
}

fn micros(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1000.0
}

const HEADINGS: [&str; 10] = [
    "",
    "req/s",
    "of floor",
    "p50",
    "p90",
    "p99",
    "max",
    "queue p50",
    "run p50",
    "CPU each",
];

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

fn floor_cells(floor: &Floor, best: Option<f64>) -> [String; 10] {
    let total = &floor.total;
    [
        format!("floor, {} loops", floor.loops),
        format!("{:.0}", floor.rate()),
        ratio(floor.rate(), best),
        short(total.p50),
        short(total.p90),
        short(total.p99),
        short(total.max),
        String::new(),
        String::new(),
        short(floor.cpu_for_each()),
    ]
}

fn row_cells(row: &Row, best: Option<f64>) -> [String; 10] {
    let Run {
        total, queue, run, ..
    } = &row.run;
    [
        format!(
            "{} workers, {} clients{}",
            row.workers,
            row.concurrency,
            if row.hot { ", hot" } else { "" }
        ),
        format!("{:.0}", row.run.rate()),
        ratio(row.run.rate(), best),
        short(total.p50),
        short(total.p90),
        short(total.p99),
        short(total.max),
        short(queue.p50),
        short(run.p50),
        short(row.run.cpu_for_each()),
    ]
}

fn ratio(rate: f64, best: Option<f64>) -> String {
    best.map(|best| format!("{:.2}", rate / best))
        .unwrap_or_default()
}

fn line(f: &mut fmt::Formatter<'_>, cells: &[String; 10]) -> fmt::Result {
    write!(f, "{:<25}", cells[0])?;
    for cell in &cells[1..] {
        write!(f, "{cell:>10}")?;
    }
    writeln!(f)
}
