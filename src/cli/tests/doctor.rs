//! `roma doctor` looks, tries and tells, in both real modes, and where something is missing.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::process::Command;

use common::{Said, assert_fits_a_terminal, program, roma, run};

/// As on a machine where nothing is installed but these.
fn with_only(programs: &[&str], arguments: &[&str]) -> Said {
    let mut command = roma();
    command.env_clear().env("PATH", "");
    for variable in programs {
        command.env(variable, program(variable));
    }
    command.args(arguments).output().unwrap().into()
}

#[test]
fn gvisor_is_tried_and_shown_in_a_table() {
    let said = run(&["doctor"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let line = |name: &str| {
        let found = said.out.lines().find(|line| line.starts_with(name));
        found.unwrap_or_else(|| panic!("no {name}: {}", said.out))
    };
    assert!(line("mode gvisor ").contains("  ok  "), "{}", said.out);
    assert!(line("mode gvisor ").contains("answered in"), "{}", said.out);
    assert!(
        line("platform systrap ").contains("on systrap"),
        "{}",
        said.out
    );
    line("Mode gvisor works");
    assert!(!said.out.contains('\x1b'), "colours are for terminals");
    assert_fits_a_terminal(&said.out);
    assert!(!said.err.contains("WARNING"), "{}", said.err);
}

#[test]
fn minimal_is_tried_and_reported_as_json() {
    let said = run(&["doctor", "--mode", "minimal", "--json"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let report = said.json();
    assert_eq!(
        (&report["mode"], &report["works"]),
        (&"minimal".into(), &true.into())
    );
    for name in [
        "kernel",
        "architecture",
        "run_workers",
        "runsc",
        "echo UDF",
        "mode minimal",
    ] {
        assert_eq!(said.verdict(name), "ok", "{name}: {report:#}");
    }
    for name in [
        "user",
        "container",
        "user namespaces",
        "seccomp",
        "control groups",
    ] {
        assert!(
            ["ok", "weak"].contains(&&*said.verdict(name)),
            "{name}: {report:#}"
        );
    }
    for check in report["checks"].as_array().unwrap() {
        let needs_a_fix =
            ["weak", "missing", "failed"].contains(&check["verdict"].as_str().unwrap());
        assert_eq!(check["fix"].is_string(), needs_a_fix, "{check:#}");
    }
}

#[test]
fn without_runsc_gvisor_is_missing_and_minimal_is_not() {
    let rest = ["ROMA_RUN_WORKERS", "ROMA_ECHO_UDF"];
    let said = with_only(&rest, &["doctor", "--json"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!(said.json()["works"], false);
    assert_eq!(said.verdict("runsc"), "missing");
    assert!(
        said.check("runsc")["fix"]
            .as_str()
            .unwrap()
            .contains("ROMA_RUNSC")
    );
    assert_eq!(said.verdict("platform systrap"), "skipped");
    assert_eq!(said.verdict("mode gvisor"), "missing");
    assert_eq!(said.verdict("mode minimal"), "ok");
    let said = with_only(&rest, &["doctor", "--mode", "minimal"]);
    assert_eq!(said.code, Some(0), "{said:?}");
}

#[test]
fn without_user_namespaces_neither_mode_works_and_the_switch_is_named() {
    // The switch holds in the namespace in which it is set, and the rest of the machine keeps its own.
    let switch_off = "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$0\" doctor --json";
    let said: Said = Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            switch_off,
        ])
        .arg(program("ROMA"))
        .output()
        .unwrap()
        .into();
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!(said.verdict("user namespaces"), "missing");
    for mode in ["mode gvisor", "mode minimal"] {
        assert_eq!(said.verdict(mode), "missing");
        assert_eq!(
            said.check(mode)["fix"],
            "first those above: user namespaces"
        );
    }
}

#[test]
fn a_missing_program_is_reported_with_its_fix() {
    let said = with_only(&[], &["doctor", "--mode", "minimal", "--json"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    for (name, fix) in [
        ("run_workers", "ROMA_RUN_WORKERS"),
        ("echo UDF", "ROMA_ECHO_UDF"),
    ] {
        assert_eq!(said.verdict(name), "missing");
        assert!(said.check(name)["fix"].as_str().unwrap().contains(fix));
    }
    assert!(
        said.check("mode minimal")["fix"]
            .as_str()
            .unwrap()
            .contains("run_workers")
    );
}

#[test]
fn a_runsc_that_does_not_run_is_reported() {
    let said = run(&["doctor", "--runsc", "/bin/false", "--json"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!(said.verdict("runsc"), "failed");
    assert!(
        said.check("runsc")["found"]
            .as_str()
            .unwrap()
            .contains("/bin/false")
    );
}

#[test]
fn a_variable_that_turns_gvisor_off_is_reported_and_ignored() {
    let output = roma()
        .args(["doctor", "--json"])
        .env("DISABLE_GVISOR", "true")
        .output();
    let said = Said::from(output.unwrap());
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(said.verdict("environment"), "weak");
    let found = said.check("mode gvisor")["found"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(found.contains(" on "), "a platform is named: {found}");
}

#[test]
fn a_wrong_use_is_distinguished_from_a_failing_machine() {
    assert_eq!(run(&["doctor", "--mode", "external"]).code, Some(2));
    assert_eq!(run(&["doctor", "--no-such-option"]).code, Some(2));
    let help = run(&["doctor", "--help"]);
    assert!(help.out.contains("Exit codes"), "{help:?}");
}
