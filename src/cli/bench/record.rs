//! The results of a suite as a file in the format of Google Benchmark, so that the tools that
//! read that format can read it, and results can be compared with those of the C++ system.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use serde_json::{Map, Value, json};

use super::statistics::median;

/// The version of that format.
const VERSION: u64 = 1;
/// The longest valid time in nanoseconds, some hours.
const LONGEST: f64 = 1e13;

/// The whole result.
#[derive(Debug, Clone)]
pub struct Record {
    /// The machine and the programs.
    pub context: Map<String, Value>,
    pub runs: Vec<Run>,
}

/// One benchmark, measured once.
#[derive(Debug, Clone, Default)]
pub struct Run {
    pub name: String,
    /// What the numbers in its name mean.
    pub label: String,
    /// Where it ran, which is a part of the label.
    pub place: String,
    pub repetition: u64,
    pub iterations: u64,
    /// The mean time of an iteration in nanoseconds.
    pub time: f64,
    /// Of the processors.
    pub cpu: f64,
    pub p50: f64,
    pub p99: f64,
    pub bytes_per_second: Option<f64>,
    /// The share of iterations that failed.
    pub failure_rate: f64,
    /// The first failure, or why there are no times.
    pub failure: Option<String>,
}

/// One benchmark, in all its runs.
#[derive(Debug, Clone)]
pub struct Case<'a> {
    pub name: &'a str,
    pub label: &'a str,
    pub place: &'a str,
    runs: Vec<&'a Run>,
}

impl Run {
    /// Returns whether there are times.
    fn counts(&self) -> bool {
        self.iterations > 0
    }

    fn json(&self, repetitions: u64) -> Value {
        let mut json = json!({
            "name": self.name,
            "run_name": self.name,
            "run_type": "iteration",
            "repetitions": repetitions,
            "repetition_index": self.repetition,
            "threads": 1,
            "iterations": self.iterations,
            "real_time": self.time,
            "cpu_time": self.cpu,
            "time_unit": "ns",
            "p50": self.p50,
            "p99": self.p99,
            "failure_rate": self.failure_rate,
            "first_failure": self.failure,
            "label": self.label,
            "place": self.place,
        });
        if let Some(rate) = self.bytes_per_second {
            json["bytes_per_second"] = rate.into();
        }
        if !self.counts() {
            json["error_occurred"] = true.into();
            json["error_message"] = self.failure.clone().into();
        }
        json
    }

    fn read(json: &Value) -> anyhow::Result<Self> {
        let text = |key| json.get(key).and_then(Value::as_str).map(str::to_owned);
        let number = |key| json.get(key).and_then(Value::as_f64);
        let name = text("run_name")
            .or_else(|| text("name"))
            .context("a benchmark has no name")?;
        if json.get("error_occurred") == Some(&Value::Bool(true)) {
            let failure = text("error_message").or_else(|| Some("it failed".to_owned()));
            return Ok(Self {
                name,
                failure,
                failure_rate: 1.0,
                ..Self::default()
            });
        }
        let unit = nanoseconds(text("time_unit").as_deref().unwrap_or("ns"))?;
        let time = number("real_time").unwrap_or_default() * unit;
        ensure!(
            time > 0.0 && time < LONGEST,
            "{name} has no real_time that can be"
        );
        Ok(Self {
            name,
            label: text("label").unwrap_or_default(),
            place: text("place").unwrap_or_default(),
            repetition: json
                .get("repetition_index")
                .and_then(Value::as_u64)
                .unwrap_or_default(),
            iterations: json
                .get("iterations")
                .and_then(Value::as_u64)
                .unwrap_or_default()
                .max(1),
            time,
            cpu: number("cpu_time").unwrap_or_default() * unit,
            p50: number("p50").unwrap_or_default(),
            p99: number("p99").unwrap_or_default(),
            bytes_per_second: number("bytes_per_second"),
            failure_rate: number("failure_rate").unwrap_or_default(),
            failure: text("first_failure"),
        })
    }
}

fn nanoseconds(unit: &str) -> anyhow::Result<f64> {
    match unit {
        "ns" => Ok(1.0),
        "us" => Ok(1e3),
        "ms" => Ok(1e6),
        "s" => Ok(1e9),
        other => bail!("{other} is not a unit of time"),
    }
}

/// The date, for people.
#[expect(clippy::disallowed_types, reason = "a date is what jumps")]
fn today() -> prost_types::Timestamp {
    std::time::SystemTime::now().into()
}

impl Record {
    /// Returns an empty record of this machine and program.
    pub fn here() -> Self {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let build = if cfg!(debug_assertions) {
            "debug"
        } else {
            "release"
        };
        let context = [
            ("date", json!(today().to_string())),
            ("executable", json!("roma")),
            ("roma_version", json!(env!("CARGO_PKG_VERSION"))),
            ("library_build_type", json!(build)),
            (
                "num_cpus",
                json!(std::thread::available_parallelism().map_or(0, usize::from)),
            ),
            ("linux_kernel", json!(kernel.trim())),
            ("json_schema_version", json!(VERSION)),
        ];
        Self {
            context: context
                .map(|(name, value)| (name.to_owned(), value))
                .into_iter()
                .collect(),
            runs: Vec::new(),
        }
    }

    pub fn json(&self) -> Value {
        let runs = self.runs.iter().map(|run| {
            let same = self.runs.iter().filter(|other| other.name == run.name);
            run.json(same.count() as u64)
        });
        json!({ "context": self.context, "benchmarks": runs.collect::<Vec<_>>() })
    }

    /// Reads a file that this program or Google Benchmark wrote.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let json = serde_json::from_str(&text)
            .map_err(anyhow::Error::from)
            .and_then(|json| Self::of(&json));
        json.with_context(|| format!("{} is not the result of a suite", path.display()))
    }

    fn of(json: &Value) -> anyhow::Result<Self> {
        let context = json.get("context").and_then(Value::as_object);
        let context = context.cloned().unwrap_or_default();
        // Early versions of Google Benchmark did not write it.
        let version = context
            .get("json_schema_version")
            .unwrap_or(&json!(VERSION))
            .clone();
        ensure!(
            version == VERSION,
            "it is of version {version}; this program reads version {VERSION}"
        );
        let all = json
            .get("benchmarks")
            .and_then(Value::as_array)
            .context("it has no benchmarks")?;
        let single = |json: &&Value| json.get("run_type") != Some(&json!("aggregate"));
        let runs = all
            .iter()
            .filter(single)
            .map(Run::read)
            .collect::<anyhow::Result<Vec<_>>>()?;
        ensure!(!runs.is_empty(), "it has no benchmarks");
        Ok(Self { context, runs })
    }

    /// The benchmarks, in the order of their first runs.
    pub fn cases(&self) -> Vec<Case<'_>> {
        let mut cases: Vec<Case<'_>> = Vec::new();
        for run in &self.runs {
            match cases.iter_mut().find(|case| case.name == run.name) {
                Some(case) => case.runs.push(run),
                None => cases.push(Case {
                    name: &run.name,
                    label: &run.label,
                    place: &run.place,
                    runs: vec![run],
                }),
            }
        }
        cases
    }
}

/// Groups benchmarks by family, in the order of the first of each.
pub fn families<'a>(cases: Vec<Case<'a>>) -> Vec<(&'a str, Vec<Case<'a>>)> {
    let mut families: Vec<(&str, Vec<Case<'_>>)> = Vec::new();
    for case in cases {
        let name = case.parts().0;
        match families.iter_mut().find(|(family, _)| *family == name) {
            Some((_, cases)) => cases.push(case),
            None => families.push((name, vec![case])),
        }
    }
    families
}

impl<'a> Case<'a> {
    /// Returns the family and the arguments in its name.
    pub fn parts(&self) -> (&'a str, &'a str) {
        self.name.split_once('/').unwrap_or((self.name, ""))
    }

    /// Returns the nanoseconds of one iteration for each run with a time.
    pub fn times(&self) -> Vec<f64> {
        self.of_each(|run| run.time)
    }

    pub fn cpu(&self) -> f64 {
        median(&self.of_each(|run| run.cpu))
    }

    pub fn p50(&self) -> f64 {
        median(&self.of_each(|run| run.p50))
    }

    pub fn p99(&self) -> f64 {
        median(&self.of_each(|run| run.p99))
    }

    pub fn iterations(&self) -> u64 {
        self.runs.iter().map(|run| run.iterations).sum()
    }

    pub fn bytes_per_second(&self) -> Option<f64> {
        let rates: Vec<f64> = self
            .runs
            .iter()
            .filter_map(|run| run.bytes_per_second)
            .collect();
        (!rates.is_empty()).then(|| median(&rates))
    }

    /// Returns why a run of it failed.
    pub fn failure(&self) -> Option<&'a str> {
        let failed = self.runs.iter().find(|run| run.failure_rate > 0.0)?;
        Some(
            failed
                .failure
                .as_deref()
                .unwrap_or("some iterations failed"),
        )
    }

    fn of_each(&self, value: fn(&Run) -> f64) -> Vec<f64> {
        let counting = self.runs.iter().filter(|run| run.counts());
        counting.map(|run| value(run)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &str, repetition: u64, time: f64) -> Run {
        Run {
            name: name.to_owned(),
            label: "minimal, strict, Hello World".to_owned(),
            place: "minimal, strict".to_owned(),
            repetition,
            iterations: 7,
            time,
            cpu: time / 2.0,
            ..Run::default()
        }
    }

    fn read(text: &str) -> anyhow::Result<Record> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.json");
        fs::write(&path, text).unwrap();
        Record::read(&path)
    }

    #[test]
    fn what_is_written_is_read() {
        let mut record = Record::here();
        let failed = Run {
            failure: Some("why".to_owned()),
            failure_rate: 1.0,
            ..Run {
                iterations: 0,
                ..run("BM_B", 0, 0.0)
            }
        };
        record.runs = vec![
            run("BM_A/mode:1", 0, 2e6),
            failed,
            run("BM_A/mode:1", 1, 4e6),
        ];
        let back = read(&record.json().to_string()).unwrap();
        assert_eq!(back.context, record.context);
        let cases = back.cases();
        assert_eq!(cases.len(), 2);
        assert_eq!(cases[0].parts(), ("BM_A", "mode:1"));
        assert_eq!(cases[0].times(), [2e6, 4e6]);
        assert_eq!((cases[0].iterations(), cases[0].failure()), (14, None));
        assert_eq!(cases[0].place, "minimal, strict");
        assert_eq!(
            (cases[1].times(), cases[1].failure()),
            (Vec::new(), Some("why"))
        );
    }

    #[test]
    fn families_are_together() {
        let mut record = Record::here();
        record.runs = ["A/0", "B/0", "A/1"].map(|name| run(name, 0, 1.0)).into();
        let names: Vec<_> = families(record.cases())
            .into_iter()
            .map(|(family, cases)| (family, cases.len()))
            .collect();
        assert_eq!(names, [("A", 2), ("B", 1)]);
    }

    /// Without a version, in milliseconds, and with means of its own.
    #[test]
    fn results_of_google_benchmark_are_read() {
        let record = read(
            r#"{"context": {"num_cpus": 8}, "benchmarks": [
                {"name": "BM_LoadBinary/mode:0", "run_name": "BM_LoadBinary/mode:0", "run_type": "iteration",
                 "iterations": 100, "real_time": 4.37, "cpu_time": 0.067, "time_unit": "ms"},
                {"name": "BM_LoadBinary/mode:0_mean", "run_name": "BM_LoadBinary/mode:0",
                 "run_type": "aggregate", "real_time": 9, "time_unit": "ms"}]}"#,
        );
        let record = record.unwrap();
        assert_eq!(record.cases()[0].times(), [4.37e6]);
    }

    #[test]
    fn an_invalid_result_file_gives_a_reason() {
        let file = |version: &str, benchmark: &str| {
            let context = format!(r#"{{"json_schema_version": {version}}}"#);
            format!(r#"{{"context": {context}, "benchmarks": [{benchmark}]}}"#)
        };
        for (text, why) in [
            ("rubbish".to_owned(), "expected value"),
            (String::new(), "EOF"),
            ("[1]".to_owned(), "no benchmarks"),
            (r#"{"benchmarks": {}}"#.to_owned(), "no benchmarks"),
            (file("1", ""), "no benchmarks"),
            (file("2", r#"{"name": "a", "real_time": 1}"#), "version 2"),
            (file("1", "7"), "no name"),
            (file("1", r#"{"name": "a"}"#), "a has no real_time"),
            (
                file("1", r#"{"name": "a", "real_time": 1e300}"#),
                "a has no real_time",
            ),
            (
                file("1", r#"{"name": "a", "real_time": -1}"#),
                "a has no real_time",
            ),
            (
                file("1", r#"{"name": "a", "real_time": 1, "time_unit": "h"}"#),
                "h is not a unit",
            ),
        ] {
            let error = format!("{:#}", read(&text).unwrap_err());
            assert!(
                error.contains("results.json") && error.contains(why),
                "{text}: {error}"
            );
        }
    }
}
