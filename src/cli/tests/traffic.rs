//! `roma traffic` sends, searches and tells, in both real modes.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use serde_json::Value;

use common::{assert_fits_a_terminal, program, run, sample};

const SMALL: &[&str] = &["--num-workers", "4", "--burst-size", "2"];

fn traffic(more: &[&str]) -> common::Said {
    run(&[&["traffic", "--mode", "minimal"], SMALL, more].concat())
}

/// With the proto of the samples.
fn with_api<'a>(more: &[&'a str]) -> Vec<&'a str> {
    // Only leaked for as long as the test runs.
    let proto = program("ROMA_SAMPLE_PROTO").display().to_string().leak();
    [&["--proto", proto], more].concat()
}

fn count(report: &Value, name: &str) -> u64 {
    report["statistics"][name].as_u64().unwrap()
}

#[test]
fn bursts_are_sent_and_reported_as_json() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("reports");
    let output = ["--json", "--output-file", file.to_str().unwrap()];
    let load = ["--queries-per-second", "20", "--total-invocations", "30"];
    for _ in 0..2 {
        let said = traffic(&[&load[..], &output].concat());
        let report = said.json();
        assert_eq!(count(&report, "total_bursts"), 15);
        assert_eq!(count(&report, "total_invocation_count"), 30);
        assert_eq!(count(&report, "failure_count"), 0, "{report:#}");
        assert_eq!(report["statistics"]["wait_latencies"]["count"], 30);
        let good = count(&report, "late_count") == 0;
        assert_eq!(said.code, Some(i32::from(!good)), "{said:?}");
    }
    let lines = std::fs::read_to_string(file).unwrap();
    let reports: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(reports.len(), 2);
    assert_ne!(reports[0]["run_id"], reports[1]["run_id"]);
}

#[test]
fn the_report_is_shown_in_80_columns() {
    let said = traffic(&["--queries-per-second", "20", "--num-queries", "10"]);
    assert!(said.out.contains("10 bursts, 20 calls"), "{said:?}");
    assert_fits_a_terminal(&said.out);
}

#[test]
fn gvisor_answers_too_and_older_flags_mean_the_same() {
    let said = run(&[
        "traffic",
        "--sandbox=gvisor",
        "--platform=systrap",
        "--num_workers=2",
        "--queries_per_second=2",
        "--burst_size=1",
        "--num_queries=4",
        "--function_name=PrimeSieve",
        "--input_args=1000",
        "--json",
    ]);
    let report = said.json();
    assert_eq!(count(&report, "failure_count"), 0, "{report:#}");
    assert_eq!(report["params"]["mode"], "gvisor");
}

/// A request that the UDF answers only if it is the message that the JSON stands for.
#[test]
fn requests_are_written_in_json() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("request.json");
    std::fs::write(&file, r#"{"primeSieve": {"upTo": 1000}}"#).unwrap();
    let load = ["--queries-per-second", "20", "--num-queries", "3", "--json"];
    for request in [r#"{"primeSieve": {"upTo": 1000}}"#, file.to_str().unwrap()] {
        let asked = with_api(&["--rpc", "run", "--request", request]);
        let said = traffic(&[&load[..], &asked].concat());
        let report = said.json();
        assert_eq!(count(&report, "total_invocation_count"), 6, "{said:?}");
        assert_eq!(count(&report, "failure_count"), 0, "{report:#}");
        assert_eq!(report["params"]["rpc"], "roma.sample.SampleService.Run");
        assert_eq!(report["params"]["function_name"], Value::Null);
    }
    // The message without a task is one that the sample refuses.
    let said = traffic(&[&load[..], &with_api(&["--request", "{}"])].concat());
    assert_eq!(count(&said.json(), "failure_count"), 6, "{said:?}");
}

#[test]
fn searches_end_with_what_they_found() {
    let short = ["--duration", "300ms", "--json"];
    let search = ["--find-max-qps", "--qps-search-bounds", "1:8"];
    let said = traffic(&[&short[..], &search, &["--qps-resolution", "4"]].concat());
    let report = said.json();
    let found = report["max_qps"].as_u64();
    assert_eq!(said.code, Some(i32::from(found.is_none())));
    assert!(
        found.is_none_or(|rate| (1..=8).contains(&rate)),
        "{report:#}"
    );
    // Whose calls all fail has no budget, which the second step makes sure of.
    let udf = sample("pause_udf");
    let search = ["--find-latency-budget", "--deadline", "50ms"];
    let search = [&search[..], &["--udf", udf.to_str().unwrap()]].concat();
    let said = traffic(&[&short[..], &search].concat());
    let report = said.json();
    assert_eq!(report["steps"].as_array().unwrap().len(), 2, "{report:#}");
    assert_eq!(report["latency_budget_ms"], Value::Null);
    assert_eq!(said.code, Some(1));
}

#[test]
fn a_wrong_use_says_what_is_wrong() {
    for (arguments, what) in [
        (&["--qps-search-bounds", "9:1"][..], "LOW:HIGH"),
        (&["--queries-per-second", "0"], "0.001 to 1000000"),
        (&["--queries-per-second", "1e-30"], "0.001 to 1000000"),
        (&["--queries-per-second", "inf"], "0.001 to 1000000"),
        (&["--qps-search-bounds", "1:4294967295"], "up to 1000000"),
        (&["--input-args", "7"], "prime-sieve"),
        (&["--duration", "soon"], "is not a duration"),
        (&["--request", "@/no/such/file"], "/no/such/file"),
        (&["--rpc", "Run"], "--proto"),
        (
            &["--request", "x", "--function-name", "clone"],
            "--function-name",
        ),
        (
            &["--request", "x", "--find-latency-budget"],
            "--find-latency-budget",
        ),
        (&with_api(&[]), "needs a --request"),
        (
            &with_api(&["--request", r#"{"helloWorld": 1}"#]),
            "SampleRequest",
        ),
        (&with_api(&["--request", "/no/such.json"]), "/no/such.json"),
        (&["--limit", "processes=many"], "processes"),
        (&["--host-answers", "/no/such.json"], "/no/such.json"),
    ] {
        let said = traffic(arguments);
        assert_eq!(said.code, Some(2), "{said:?}");
        assert!(said.err.contains(what), "{said:?}");
    }
}
