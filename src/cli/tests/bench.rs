//! `roma bench` in both real modes, with programs named by relative paths.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use serde_json::Value;

use common::{assert_fits_a_terminal, run};

fn bench(arguments: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("report.json");
    let rest = ["--requests", "40", "--floor-millis", "200", "--json"];
    let said = run(&[&["bench"], arguments, &rest, &[json.to_str().unwrap()]].concat());
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_fits_a_terminal(&said.out);
    serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap()
}

fn measures(report: &Value) {
    assert!(report["floor_best_rps"].as_f64().unwrap() > 0.0, "{report}");
    let rows = report["service"].as_array().unwrap();
    assert!(!rows.is_empty());
    for floor in report["floor"].as_array().unwrap() {
        let rates = floor["rps_each_time"].as_array().unwrap();
        assert_eq!(rates.len(), 2, "before and after: {floor}");
    }
    for row in rows {
        assert_eq!(row["failures"], 0, "{row}");
        assert!(row["rps"].as_f64().unwrap() > 0.0, "{row}");
        assert!(row["latency_us"]["p50"].as_f64().unwrap() > 0.0, "{row}");
    }
}

#[test]
fn minimal() {
    let report = bench(&["--mode", "minimal"]);
    measures(&report);
    let rows = report["service"].as_array().unwrap();
    let hot: Vec<_> = rows
        .iter()
        .map(|row| row["hot"].as_bool().unwrap())
        .collect();
    assert_eq!(hot, [false, true, false]);
    let floors = report["floor"].as_array().unwrap();
    let hot = floors.iter().filter(|floor| floor["hot"] == true).count();
    assert_eq!((floors.len(), hot), (4, 1));
}

/// Hostile code costs its neighbour time, but no request.
#[test]
fn beside_hostile_code() {
    for mode in ["minimal", "gvisor"] {
        let mut arguments = vec!["--mode", mode, "--workers", "2", "--concurrency", "2"];
        arguments.extend(["--neighbours", "2", "--neighbours-cpu-millis", "500"]);
        if mode == "gvisor" {
            arguments.extend(["--platform", "systrap"]);
        }
        let report = bench(&arguments);
        measures(&report);
        let rows = report["service"].as_array().unwrap();
        let neighbours: Vec<_> = rows
            .iter()
            .map(|row| row["neighbours"].as_u64().unwrap())
            .collect();
        assert_eq!(neighbours, [0, 2]);
    }
}

#[test]
fn gvisor() {
    let report = bench(&[
        "--mode",
        "gvisor",
        "--platform",
        "systrap",
        "--workers",
        "2",
        "--concurrency",
        "2",
    ]);
    measures(&report);
    assert_eq!(report["platform"], "systrap");
}

#[test]
fn a_report_that_cannot_be_written_is_refused_before_measuring() {
    let said = run(&["bench", "--mode", "minimal", "--json", "/proc/none/report"]);
    assert_eq!(said.code, Some(2));
    assert!(said.out.is_empty());
    assert!(said.err.contains("/proc/none/report"), "{}", said.err);
}
