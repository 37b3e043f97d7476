//! The output and the exit code for failed tests and invalid input.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

fn program() -> Command {
    Command::new(std::env::var("STRUCTURE_TEST").unwrap())
}

fn image() -> PathBuf {
    PathBuf::from(std::env::var("IMAGE").unwrap())
}

fn test_file(tests: &str) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("wrong.yaml");
    fs::write(&file, format!("schemaVersion: 2.0.0\n{tests}\n")).unwrap();
    (folder, file)
}

fn run(image: &Path, tests: &str) -> Output {
    let (_folder, file) = test_file(tests);
    program().arg(image).arg(file).output().unwrap()
}

/// Runs one test, which must fail with each text of `whys`.
fn fails(tests: &str, name: &str, whys: &[&str]) {
    let done = run(&image(), tests);
    let said = String::from_utf8(done.stdout).unwrap();
    assert_eq!(done.status.code(), Some(1), "{tests}: {said}");
    assert!(said.contains(&format!("FAIL  {name}\n")), "{tests}: {said}");
    assert!(
        said.ends_with("0 tests passed, 1 failed\n"),
        "{tests}: {said}"
    );
    for why in whys {
        assert!(said.contains(why), "{tests}: no {why} in {said}");
    }
}

fn is_refused(image: &Path, tests: &str, whys: &[&str]) {
    let done = run(image, tests);
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(2), "{tests}: {said}");
    for why in whys {
        assert!(said.contains(why), "{tests}: no {why} in {said}");
    }
}

#[test]
fn wrong_metadata_fails() {
    for (expected, why) in [
        (
            "env: [{key: GREETING, value: bye}]",
            r#"variable GREETING: expected "bye", is "hello""#,
        ),
        (
            "envVars: [{key: NONE, value: x}]",
            "variable NONE: expected, but missing",
        ),
        (
            "envVars: [{key: PATH, value: ^/sbin, isRegex: true}]",
            "expected to match `^/sbin`, is \"/bin:/sbin\"",
        ),
        (
            "unboundEnvVars: [{key: GREETING}]",
            "variable GREETING: must not be set, is \"hello\"",
        ),
        (
            "labels: [{key: org.example.name, value: prob}]",
            r#"label org.example.name: expected "prob", is "probe""#,
        ),
        (
            "labels: [{key: org.example.built, value: ^1, isRegex: true}]",
            "expected to match `^1`, is \"2001-02-03\"",
        ),
        (
            "exposedPorts: [80]",
            "port 80: expected, but missing; there are [\"53/udp\", ",
        ),
        (
            "exposedPorts: [8080/udp]",
            "port 8080/udp: expected, but missing",
        ),
        (
            "unexposedPorts: [8080]",
            "port 8080: must not exist, but does",
        ),
        (
            "volumes: [/srv]",
            "volume /srv: expected, but missing; there are [\"/data\"]",
        ),
        (
            "unmountedVolumes: [/data]",
            "volume /data: must not exist, but does",
        ),
        (
            "entrypoint: [/bin/probe]",
            r#"entrypoint: expected ["/bin/probe"], is ["/bin/probe", "say"]"#,
        ),
        ("cmd: []", r#"cmd: expected [], is ["good day"]"#),
        ("workdir: /", r#"workdir: expected "/", is "/srv""#),
        ("user: root", r#"user: expected "root", is "app""#),
    ] {
        fails(&format!("metadataTest: {{{expected}}}"), "metadata", &[why]);
    }
}

#[test]
fn a_wrong_file_fails() {
    for (expected, why) in [
        ("path: /none", "/none must exist, but does not"),
        (
            "path: /bin/probe/none",
            "/bin/probe/none must exist, but does not",
        ),
        (
            "path: /private, shouldExist: false",
            "/private must not exist, but does: drwx------",
        ),
        (
            "path: /bin/probe, permissions: -r-xr-xr-x",
            "permissions: expected -r-xr-xr-x, is -r-xr-x---",
        ),
        ("path: /bin/probe, uid: 0", "uid: expected 0, is 65532"),
        ("path: /bin/probe, gid: 1", "gid: expected 1, is 65532"),
        (
            "path: /bin/probe, isExecutableBy: other",
            "not executable by other: -r-xr-x---",
        ),
        (
            "path: /etc/settings.txt, isExecutableBy: any",
            "not executable by any: -rw-r--r--",
        ),
    ] {
        fails(
            &format!("fileExistenceTests: [{{name: it, {expected}}}]"),
            "file existence: it",
            &[why],
        );
    }
}

#[test]
fn wrong_content_fails() {
    for (expected, why) in [
        ("path: /none", "/none cannot be read: there is no such file"),
        (
            "path: /private",
            "/private cannot be read: it is a directory",
        ),
        (
            "path: /etc/current, expectedContents: [^mode]",
            "nothing matches the expected `^mode`",
        ),
        (
            "path: /etc/settings.txt, excludedContents: ['mode']",
            "something matches the excluded `mode`",
        ),
        (
            "path: /etc/settings.txt, excludedContents: ['mode']",
            r#"/etc/settings.txt: "listen = 8080\nmode"#,
        ),
    ] {
        fails(
            &format!("fileContentTests: [{{name: it, {expected}}}]"),
            "file content: it",
            &[why],
        );
    }
}

#[test]
fn a_wrong_licence_fails() {
    let files = "licenseTests: [{files: [/etc/unwanted.txt]}]";
    fails(
        files,
        "licences",
        &["/etc/unwanted.txt names the licence AGPL"],
    );
    fails(
        "licenseTests: [{files: [/none]}]",
        "licences",
        &["/none cannot be read"],
    );
}

#[test]
fn a_wrong_command_fails() {
    for (expected, why) in [
        ("command: /none", "/none cannot be started: No such file"),
        (
            "command: /etc/hello.txt",
            "/etc/hello.txt cannot be started: Permission denied",
        ),
        (
            "command: probe, args: [say, a], expectedOutput: [b]",
            "output: nothing matches the expected `b`",
        ),
        (
            "command: probe, args: [say, a], expectedOutput: [b]",
            r#"output: "a\n""#,
        ),
        (
            "command: probe, args: [say, a], excludedOutput: [a]",
            "output: something matches the excluded `a`",
        ),
        (
            "command: probe, args: [complain, a], expectedError: [b]",
            "error output: nothing matches the expected `b`",
        ),
        (
            "command: probe, args: [complain, a], excludedError: [a]",
            "error output: something matches the excluded `a`",
        ),
        (
            "command: probe, args: [exit, 3]",
            "exit code: expected 0, is 3",
        ),
        (
            "command: probe, args: [say], exitCode: 1",
            "exit code: expected 1, is 0",
        ),
        (
            "command: probe, args: [crash]",
            "exit code: expected 0, is 134",
        ),
        (
            "command: probe, setup: [[/none]]",
            "setup: /none cannot be started",
        ),
        (
            "command: probe, teardown: [[/none]]",
            "teardown: /none cannot be started",
        ),
        (
            "command: probe, setup: [[probe, exit, 7]]",
            r#"note: setup ["probe", "exit", "7"] ended with 7"#,
        ),
    ] {
        fails(
            &format!("commandTests: [{{name: it, {expected}}}]"),
            "command: it",
            &[why],
        );
    }
}

#[test]
fn a_user_who_does_not_exist_fails() {
    let tests = "containerRunOptions: {user: nobody}\ncommandTests: [{name: it, command: probe, args: [say]}]";
    fails(tests, "command: it", &["the image has no user nobody"]);
}

#[test]
fn an_invalid_test_file_is_refused() {
    is_refused(
        &image(),
        "fileTests: []",
        &["wrong.yaml", "unknown field `fileTests`", "line 2"],
    );
    is_refused(
        &image(),
        "containerRunOptions: {bindMounts: [a]}",
        &["wrong.yaml", "unknown field `bindMounts`"],
    );
    is_refused(&image(), "commandTests: {", &["wrong.yaml", "line"]);
    is_refused(
        &image(),
        "commandTests: []",
        &["the test files contain no tests"],
    );
    let none = program().arg(image()).output().unwrap();
    assert_eq!(none.status.code(), Some(2));
}

#[test]
fn an_invalid_image_is_refused() {
    let tests = "metadataTest: {}";
    let folder = TempDir::new().unwrap();
    let index = folder.path().join("index.json");
    is_refused(
        folder.path(),
        tests,
        &["the image cannot be read", "index.json", "No such file"],
    );
    for (text, why) in [
        ("{", "index.json: EOF while parsing"),
        (r#"{"manifests": []}"#, "none of the 0 images is for"),
        (
            r#"{"manifests": [{"digest": "sha256:../../x"}]}"#,
            "`sha256:../../x` is not a digest",
        ),
        (
            r#"{"manifests": [{"digest": "sha256:12"}]}"#,
            "blobs/sha256/12: No such file",
        ),
    ] {
        fs::write(&index, text).unwrap();
        is_refused(folder.path(), tests, &[why]);
    }
}

#[test]
fn a_layer_that_cannot_be_read_is_refused() {
    let folder = TempDir::new().unwrap();
    let blobs = folder.path().join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let manifest = r#"{"config": {"digest": "sha256:1"}, "layers": [{"digest": "sha256:2"}]}"#;
    fs::write(
        folder.path().join("index.json"),
        r#"{"manifests": [{"digest": "sha256:0"}]}"#,
    )
    .unwrap();
    fs::write(blobs.join("0"), manifest).unwrap();
    fs::write(blobs.join("1"), "{}").unwrap();
    for (layer, why) in [
        (
            b"\x28\xb5\x2f\xfd".as_slice(),
            "blobs/sha256/2: a layer compressed with zstd",
        ),
        (b"\x1f\x8b broken", "blobs/sha256/2: unexpected end of file"),
    ] {
        fs::write(blobs.join("2"), layer).unwrap();
        is_refused(folder.path(), "metadataTest: {}", &[why]);
    }
}

/// Returns a word that no other process on this machine has as an argument.
fn marker(folder: &TempDir) -> String {
    folder
        .path()
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned()
}

/// Returns whether a process has `marker` as an argument.
fn is_running(marker: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mut lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines.any(|line| {
        line.split(|byte| *byte == 0)
            .any(|word| word == marker.as_bytes())
    })
}

#[test]
fn processes_mounts_and_files_are_removed_afterwards() {
    let folder = TempDir::new().unwrap();
    let marker = marker(&folder);
    let (_tests, file) = test_file(&format!(
        "commandTests: [{{name: it, command: probe, args: [leave, {marker}], exitCode: 1}}]"
    ));
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let done = program()
        .args([&image(), &file])
        .env("TMPDIR", folder.path())
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    assert!(!is_running(&marker));
    assert_eq!(fs::read_to_string("/proc/self/mountinfo").unwrap(), mounts);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn killing_the_runner_ends_its_command() {
    let folder = TempDir::new().unwrap();
    let marker = marker(&folder);
    let (_tests, file) = test_file(&format!(
        "commandTests: [{{name: it, command: probe, args: [stay, {marker}]}}]"
    ));
    let mut runner = program()
        .args([&image(), &file])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while !is_running(&marker) {
        assert!(
            runner.try_wait().unwrap().is_none(),
            "the runner ended too early"
        );
        std::thread::yield_now();
    }
    runner.kill().unwrap();
    runner.wait().unwrap();
    while is_running(&marker) {
        std::thread::yield_now();
    }
}
