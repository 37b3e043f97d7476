//! `roma verify` passes good UDFs, and has a verdict of its own for each kind of bad one.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use common::{Said, assert_fits_a_terminal, program, roma, run, sample};

/// Verifies with `--json`.
fn verify(mode: &str, udf: &Path, more: &[&str]) -> Said {
    let mut command = roma();
    command.args(["verify", "--json", "--mode", mode]).arg(udf);
    if mode == "gvisor" {
        command.args(["--platform", "systrap"]);
    }
    command.args(more).output().unwrap().into()
}

/// The UDF that does what its request says.
fn misbehaving(request: &str) -> Said {
    let udf = program("ROMA_MISBEHAVING_UDF");
    verify("minimal", &udf, &["--deadline", "2", "--request", request])
}

/// Checks the exit code and the verdict on what is named, and returns what was found and the advice.
fn judged(said: &Said, name: &str, verdict: &str) -> String {
    let report = said.json();
    let verified = report["verified"].as_bool().unwrap();
    assert_eq!(said.code, Some(i32::from(!verified)), "{report:#}");
    assert_eq!(verified, verdict != "failed", "{report:#}");
    let check = said.check(name);
    assert_eq!(check["verdict"], verdict, "{report:#}");
    format!("{} => {}", check["found"].as_str().unwrap(), check["fix"])
}

/// The same, where words tell what it is.
fn judged_as(said: &Said, name: &str, verdict: &str, words: &[&str]) {
    let text = judged(said, name, verdict);
    for word in words {
        assert!(text.contains(word), "no {word:?} in {text:?}");
    }
}

const ALL: [&str; 14] = [
    "file",
    "format",
    "architecture",
    "libraries",
    "size",
    "filter",
    "load",
    "readiness",
    "start-up",
    "answer",
    "exit",
    "descriptors",
    "output",
    "use",
];

fn is_good(said: &Said) {
    let report = said.json();
    let checks = report["checks"].as_array().unwrap();
    let names: Vec<_> = checks.iter().map(|check| &check["name"]).collect();
    assert_eq!(names, ALL);
    assert!(
        checks.iter().all(|check| check["verdict"] == "ok"),
        "{report:#}"
    );
    assert_eq!((said.code, &report["verified"]), (Some(0), &true.into()));
    assert!(said.err.is_empty(), "{}", said.err);
}

#[test]
fn a_good_udf_passes_without_gvisor() {
    is_good(&verify("minimal", &sample("echo_udf"), &[]));
}

#[test]
fn a_good_udf_passes_in_gvisor() {
    is_good(&verify("gvisor", &sample("echo_udf"), &[]));
}

#[test]
fn requests_and_responses_are_json() {
    let proto = program("ROMA_SAMPLE_PROTO");
    let api = ["--proto", proto.to_str().unwrap()];
    let ask = |request| {
        let more = [&api[..], &["--rpc", "run", "--request", request]].concat();
        verify("minimal", &sample("sample_udf"), &more)
    };
    let said = ask(r#"{"primeSieve": {"upTo": 100}}"#);
    judged_as(&said, "answer", "ok", &[r#""primeCount": 25"#]);
    let said = ask(r#"{"nonsense": 1}"#);
    judged_as(&said, "answer", "failed", &["code 70"]);
    assert!(said.err.contains("nonsense"), "{}", said.err);
}

#[test]
fn escapes_of_a_udf_are_shown_and_do_not_reach_the_terminal() {
    let udf = program("ROMA_MISBEHAVING_UDF");
    let udf = udf.to_str().unwrap();
    let verify = ["verify", "--mode", "minimal", udf];
    for more in [
        &["--request", "escapes"][..],
        &["--request", "escapes-and-exit"],
        &["--arg", "crash with escapes"],
        &["--json", "--arg", "crash with escapes"],
    ] {
        let said = run(&[&verify, more].concat());
        let obeyed = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!said.out.contains(obeyed), "{:?}", said.out);
        assert!(said.out.contains("u001b[2J"), "{:?}", said.out);
    }
}

#[test]
fn the_table_fits_into_a_terminal() {
    let udf = sample("nonzero_return_udf");
    let said = run(&["verify", "--mode", "minimal", udf.to_str().unwrap()]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let lines: Vec<_> = said.out.lines().collect();
    let (last, table) = lines.split_last().unwrap();
    assert_fits_a_terminal(&table.join("\n"));
    assert!(
        table
            .iter()
            .any(|line| line.starts_with("exit ") && line.contains("  weak "))
    );
    assert!(last.ends_with("is verified."), "{last}");
    assert!(!said.out.contains('\x1b'), "colours are for terminals");
}

#[test]
fn a_binary_that_cannot_run_is_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8], mode| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    let verify = |path: &Path| verify("minimal", path, &[]);
    let echo = fs::read(sample("echo_udf")).unwrap();
    judged_as(
        &verify(&file("a", &echo, 0o644)),
        "file",
        "failed",
        &["chmod +x"],
    );
    judged_as(
        &verify(&file("b", b"hello", 0o755)),
        "format",
        "failed",
        &["ELF"],
    );
    let mut other = echo.clone();
    other[18] = 0xf3;
    judged_as(
        &verify(&file("c", &other, 0o755)),
        "architecture",
        "failed",
        &["243"],
    );
    judged_as(
        &verify(&file("d", b"", 0o755)),
        "size",
        "failed",
        &["empty"],
    );
    judged_as(
        &verify(Path::new("/bin/sh")),
        "libraries",
        "failed",
        &["libc.so", "static"],
    );
    assert_eq!(verify(Path::new("/bin/sh")).verdict("run"), "skipped");
}

#[test]
fn a_udf_that_is_never_ready_is_distinguished_from_one_that_crashes() {
    let udf = program("ROMA_MISBEHAVING_UDF");
    let started = |how| verify("minimal", &udf, &["--deadline", "2", "--arg", how]);
    judged_as(
        &started("crash"),
        "readiness",
        "failed",
        &["was ended by SIG", "no model to be found"],
    );
    judged_as(&started("exit"), "readiness", "failed", &["code 3"]);
    let said = started("never ready");
    judged_as(
        &said,
        "readiness",
        "failed",
        &["not ready within 2s", "loading the model"],
    );
    judged_as(
        &said,
        "readiness",
        "failed",
        &["write one byte to descriptor 3"],
    );
    assert_eq!(said.verdict("answer"), "skipped");
}

#[test]
fn a_protocol_that_was_not_asked_for_is_recognised_and_fails() {
    let udf = program("ROMA_MISBEHAVING_UDF");
    for mode in ["minimal", "gvisor"] {
        let silent = ["--deadline", "4", "--arg", "silent"];
        let said = verify(mode, &udf, &silent);
        judged_as(
            &said,
            "readiness",
            "failed",
            &["older protocol", "Readiness::None", "--readiness none"],
        );
        assert_eq!(said.verdict("answer"), "ok");
        assert_eq!(said.verdict("filter"), "ok");
    }
    let older = ["--deadline", "4", "--arg", "silent", "--readiness", "none"];
    let said = verify("minimal", &udf, &older);
    judged_as(&said, "readiness", "weak", &["while it starts"]);
    let said = verify("minimal", &sample("echo_udf"), &["--readiness", "none"]);
    judged_as(&said, "readiness", "failed", &["part of its response"]);
}

#[test]
fn each_defect_of_a_response_is_reported() {
    for (request, words) in [
        ("truncated", ["is truncated", "as many bytes"]),
        ("truncated-length", ["is truncated", "as many bytes"]),
        ("trailing", ["bytes follow it", "nothing after it"]),
        ("malformed", ["length is malformed", "varint"]),
        ("overlong", ["length is malformed", "varint"]),
        ("oversize", ["more than the", "max_response"]),
        ("mute", ["missing, although", "descriptor 3 open"]),
        ("exit 9", ["exited with code 9", "before it ends"]),
        ("stall", ["did not answer within 2s", "--deadline"]),
    ] {
        judged_as(&misbehaving(request), "answer", "failed", &words);
    }
}

#[test]
fn an_empty_request_is_reported_as_a_possible_reason() {
    let said = verify("minimal", &sample("sample_udf"), &[]);
    judged_as(&said, "answer", "failed", &["code 70", "--request"]);
    let found = said.check("filter")["found"].as_str().unwrap().to_owned();
    assert!(found.contains("not the reason"), "{found}");
}

#[test]
fn defects_after_the_response_are_reported() {
    judged_as(&misbehaving("linger"), "exit", "weak", &["is killed"]);
    let said = verify("minimal", &sample("nonzero_return_udf"), &[]);
    judged_as(&said, "exit", "weak", &["code 23"]);
    let said = verify("minimal", &sample("abort_late_udf"), &[]);
    judged_as(&said, "exit", "weak", &["SIGSEGV"]);
    judged_as(
        &misbehaving("chatty"),
        "output",
        "weak",
        &["to whom it may concern"],
    );
}

#[test]
fn a_udf_that_needs_many_descriptors_is_reported() {
    judged_as(
        &misbehaving("descriptors"),
        "descriptors",
        "weak",
        &["open_files"],
    );
}

#[test]
fn a_weaker_filter_than_asked_for_fails_and_the_denied_call_is_named() {
    let udf = program("ROMA_MISBEHAVING_UDF");
    for mode in ["minimal", "gvisor"] {
        let asked = |request| verify(mode, &udf, &["--deadline", "2", "--request", request]);
        let level = ["answers at level engine", "not at level strict", "code 8"];
        judged_as(&asked("pipe"), "filter", "failed", &level);
        judged_as(
            &asked("pipe"),
            "filter",
            "failed",
            &["denies it dup2", "do without dup2"],
        );
        let level = [
            "answers at level none",
            "not at level strict",
            "denies it bind",
        ];
        judged_as(&asked("bind"), "filter", "failed", &level);
    }
    let at_engine = ["--request", "pipe", "--filter", "engine"];
    let said = verify("minimal", &udf, &at_engine);
    judged_as(&said, "filter", "ok", &["level engine"]);
}

#[test]
fn limits_apply() {
    let udf = program("ROMA_MISBEHAVING_UDF");
    let few = ["--request", "descriptors", "--limit", "open-files=16"];
    let said = verify("minimal", &udf, &few);
    assert_eq!(said.verdict("answer"), "failed");
}

#[test]
fn a_failing_machine_is_distinguished_from_a_failing_udf() {
    let said = verify(
        "minimal",
        &sample("echo_udf"),
        &["--run-workers", "/bin/false"],
    );
    judged_as(&said, "sandbox", "failed", &["roma doctor"]);
}

#[test]
fn a_wrong_use_is_distinguished_from_a_bad_udf() {
    let echo = sample("echo_udf");
    let code = |udf: &Path, more: &[&str]| verify("minimal", udf, more).code;
    assert_eq!(code(Path::new("/no/such/file"), &[]), Some(2));
    assert_eq!(code(&echo, &["--rpc", "run"]), Some(2));
    assert_eq!(code(&echo, &["--deadline", "0"]), Some(2));
    assert_eq!(code(&echo, &["--env", "A"]), Some(2));
    assert_eq!(code(&echo, &["--limit", "heap=1m"]), Some(2));
    assert_eq!(code(&echo, &["--host-answers", "/no/such.json"]), Some(2));
    assert_eq!(code(&echo, &["--proto", "/no/such.proto"]), Some(2));
    let proto = program("ROMA_SAMPLE_PROTO");
    let api = ["--proto", proto.to_str().unwrap()];
    assert_eq!(
        code(&echo, &[&api[..], &["--rpc", "walk"]].concat()),
        Some(2)
    );
    assert_eq!(
        code(&echo, &[&api[..], &["--request", "{"]].concat()),
        Some(2)
    );
    assert_eq!(
        code(&echo, &[&api[..], &["--service", "No"]].concat()),
        Some(2)
    );
}
