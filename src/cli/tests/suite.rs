//! `roma bench suite` measures in both real modes, and `roma bench compare` reads what it wrote.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::fs;
use std::path::Path;

use serde_json::Value;

use common::{Said, assert_fits_a_terminal, program, roma, run};

/// As little of everything as there can be.
const SMALL: &[&str] = &["--platform=systrap", "--workers=1,2", "--time=1ms"];
/// The same of payloads.
const PAYLOADS: &str = "--payloads=1KiB,3KiBx2";

fn suite(more: &[&str]) -> Said {
    run(&[&["bench", "suite"], SMALL, more].concat())
}

fn compare(files: &[&Path]) -> Said {
    let mut command = roma();
    command.args(["bench", "compare"]).args(files);
    command.output().unwrap().into()
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn benchmarks(results: &Value) -> &Vec<Value> {
    results["benchmarks"].as_array().unwrap()
}

/// Measures once, and returns the results and the page.
fn measured(more: &[&str]) -> (Value, String) {
    let folder = tempfile::tempdir().unwrap();
    let (json, page) = (folder.path().join("a.json"), folder.path().join("a.html"));
    let more = [&[PAYLOADS, "--repetitions=1"], more].concat();
    let output = [
        "--json",
        json.to_str().unwrap(),
        "--report",
        page.to_str().unwrap(),
    ];
    let said = suite(&[&more[..], &output].concat());
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_fits_a_terminal(&said.out);
    let results = read(&json);
    let listed = suite(&[&more[..], &["--list"]].concat());
    assert_eq!(listed.out.lines().collect::<Vec<_>>(), names(&results));
    for run in benchmarks(&results) {
        assert_eq!(run["failure_rate"], 0.0, "{run}");
        assert!(run["real_time"].as_f64().unwrap() > 0.0, "{run}");
        let is_payload = run["name"].as_str().unwrap().contains("Payload/");
        assert_eq!(run["bytes_per_second"].is_number(), is_payload, "{run}");
    }
    (results, fs::read_to_string(page).unwrap())
}

fn names(results: &Value) -> Vec<&str> {
    let names = benchmarks(results).iter().map(|run| run["name"].as_str());
    names.map(Option::unwrap).collect()
}

#[test]
fn every_benchmark_is_measured() {
    let (results, page) = measured(&["--modes=minimal"]);
    for name in [
        "BM_LoadBinary/mode:1",
        "BM_ProcessRequest/mode:1/udf:2/num_workers:2",
        "BM_ProcessRequestUsingCallback/mode:1/udf:1/num_workers:1",
        "BM_ProcessRequestMultipleLanguages/lang:3/udf:1/mode:1",
        "BM_ProcessRequestRequestPayload/1024/1/1",
        "BM_ProcessRequestResponsePayload/3072/2/1",
        "BM_ProcessRequestPrimeSieve/mode:1/prime_count:10000000",
        "BM_ProcessRequestSortList/mode:1/n_items:1000000",
        "BM_ProcessRequestDevNullVsLogBinary/log:1/num_logs:10000/mode:1",
    ] {
        assert!(names(&results).contains(&name), "{name}: {results}");
    }
    assert_eq!(page.matches("<svg").count(), 9);
    assert_eq!(page.matches("<circle").count(), names(&results).len());
}

#[test]
fn gvisor_is_measured() {
    let only = [
        "BM_LoadBinary/mode:0/lang:3",
        "lang:0",
        "Payload",
        "num_logs:10/",
    ];
    let only: Vec<_> = only.iter().flat_map(|name| ["--only", name]).collect();
    let (results, _) = measured(&[&["--modes=gvisor,minimal"], &only[..]].concat());
    for name in [
        "BM_LoadBinary/mode:0/lang:3",
        "BM_ProcessRequestMultipleLanguages/lang:0/udf:1",
        "BM_ProcessRequestRequestPayload/1024/1/0",
        "BM_ProcessRequestResponsePayload/3072/2/0",
        "BM_ProcessRequestDevNullVsLogBinary/log:0/num_logs:10/mode:1",
    ] {
        assert!(names(&results).contains(&name), "{name}: {results}");
    }
    assert_eq!(results["context"]["gvisor_platform"], "systrap");
}

#[test]
fn filters_are_measured_beside_each_other() {
    let said = suite(&[
        "--modes=minimal",
        "--filters=strict,none",
        "--languages=rust",
        "--only=BM_LoadBinary",
        "--repetitions=1",
    ]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("  mode:1/lang:3  "), "{said:?}");
    assert!(
        said.out.contains("  mode:1/lang:3/filter:none  "),
        "{said:?}"
    );
}

/// A real result, and the same with other times.
#[test]
fn results_are_compared() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let one = [
        "--modes=minimal",
        "--languages=rust",
        "--only=num_workers:1/lang:3",
    ];
    let output = ["--json", path("a").to_str().unwrap().to_owned().leak()];
    assert_eq!(suite(&[&one[..], &output].concat()).code, Some(0));
    let mut results = read(&path("a"));
    // Everything is measured once, then again: immediate repetitions would share one slow minute.
    let runs = benchmarks(&results).iter();
    let repetitions: Vec<_> = runs
        .map(|run| run["repetition_index"].as_u64().unwrap())
        .collect();
    assert_eq!(repetitions.len(), 20);
    assert!(repetitions.is_sorted(), "{repetitions:?}");
    for run in results["benchmarks"].as_array_mut().unwrap() {
        assert_eq!(run["repetitions"], 5, "{run}");
        run["real_time"] = (1000.0 * run["real_time"].as_f64().unwrap()).into();
    }
    fs::write(path("slow"), results.to_string()).unwrap();
    let (real, slow) = (path("a"), path("slow"));
    let slower = compare(&[&real, &slow]);
    assert_eq!(slower.code, Some(1), "{slower:?}");
    assert!(
        slower.out.contains("0 faster, 4 slower, 0 with no"),
        "{slower:?}"
    );
    let faster = compare(&[&slow, &real]);
    assert_eq!(faster.code, Some(0), "{faster:?}");
    assert!(faster.out.contains("4 faster, 0 slower"), "{faster:?}");
    let same = compare(&[&real, &real, Path::new("--json")]);
    assert_eq!(same.code, Some(0), "{same:?}");
    for pair in benchmarks(&same.json()) {
        assert_eq!(pair["verdict"], "no difference that can be told", "{pair}");
    }
    assert_fits_a_terminal(&slower.out);
}

#[test]
fn an_invalid_result_file_cannot_be_compared() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let run = r#"{"name": "BM_A", "iterations": 1, "real_time": 5, "time_unit": "ns"}"#;
    let of = |version: u8| {
        format!(r#"{{"context": {{"json_schema_version": {version}}}, "benchmarks": [{run}]}}"#)
    };
    let good = file("good", of(1).as_bytes());
    assert_eq!(compare(&[&good, &good]).code, Some(0));
    for (bad, why) in [
        (file("rubbish", b"\xff\x00rubbish"), "rubbish"),
        (file("empty", b""), "not the result of a suite"),
        (file("later", of(2).as_bytes()), "version 2"),
        (file("other", br#"{"benchmarks": []}"#), "no benchmarks"),
        (folder.path().join("missing"), "missing"),
        (folder.path().to_owned(), "directory"),
    ] {
        for files in [[&*good, &*bad], [&*bad, &*good]] {
            let said = compare(&files);
            assert_eq!(said.code, Some(2), "{said:?}");
            assert!(said.err.contains(why), "{why}: {said:?}");
        }
    }
}

#[test]
fn a_report_that_cannot_be_written_is_refused_before_measuring() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("results.json");
    let said = suite(&[
        "--json",
        json.to_str().unwrap(),
        "--report",
        "/proc/none/report",
    ]);
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.err.contains("/proc/none/report"), "{said:?}");
    assert!(said.out.is_empty() && !json.exists(), "{said:?}");
}

#[test]
fn a_udf_of_the_user_is_measured_with_a_request_in_json() {
    let (udf, proto) = (program("ROMA_SAMPLE_UDF"), program("ROMA_SAMPLE_PROTO"));
    let own = [
        "--modes=minimal",
        "--repetitions=1",
        "--udf",
        udf.to_str().unwrap(),
    ];
    let request = ["--proto", proto.to_str().unwrap(), "--request"];
    let said = suite(&[&own[..], &request, &[r#"{"helloWorld": {}}"#]].concat());
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.out.contains("BM_Load\n") && said.out.contains("BM_Execute\n"),
        "{said:?}"
    );
    // A task that is none: it can be loaded, and does not answer.
    let said = suite(&[&own[..], &request, &["{}"]].concat());
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!(said.out.matches("failed: ").count(), 2, "{said:?}");
    assert_fits_a_terminal(&said.out);
}

#[test]
fn a_wrong_use_says_what_is_wrong() {
    for (arguments, what) in [
        (&["--only", "BM_Nothing"][..], "nothing of that name"),
        (&["--payloads", "1GiB"], "is not a payload size"),
        (&["--payloads", "64MiB"], "63 MiB"),
        (&["--modes", "chroot"], "chroot"),
        (&["--workers=many"], "many"),
        (&["--workers=0"], "0 is not in"),
        (&["--repetitions", "0"], "1..=50"),
        (&["--request", "x"], "--udf"),
        (&["--udf", "/no/such/udf"], "/no/such/udf"),
        (&["--samples", "/no/such"], "/no/such/payload_read_udf"),
    ] {
        let said = suite(arguments);
        assert_eq!(said.code, Some(2), "{said:?}");
        assert!(said.err.contains(what), "{said:?}");
        assert!(said.out.is_empty(), "{said:?}");
    }
}
