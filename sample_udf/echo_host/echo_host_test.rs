//! Checks that docs/cc.md shows the example that is built here, and that the example works.

use std::fs;
use std::process::{Command, Output};

fn variable(name: &str) -> String {
    std::env::var(name).unwrap()
}

fn echo_host(udf: &str, message: &str) -> Output {
    let mut host = Command::new(variable("ECHO_HOST"));
    host.args([udf, message]).output().unwrap()
}

#[test]
fn the_example_prints_the_echoed_message() {
    let done = echo_host(&variable("ECHO_UDF"), "hello from C++");
    assert!(done.status.success(), "{done:?}");
    assert_eq!(String::from_utf8_lossy(&done.stdout), "hello from C++\n");
}

#[test]
fn a_failure_says_whose_fault_it_is() {
    let done = echo_host("/no/such/udf", "");
    assert_eq!(done.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&done.stderr);
    let expected = "binary, a fault of the udf: code 5: /no/such/udf does not exist";
    assert!(stderr.contains(expected), "{stderr}");
}

/// Each block that names a file consists of lines of that file.
#[test]
fn the_page_shows_the_example_that_is_built() {
    let page = fs::read_to_string(variable("PAGE")).unwrap();
    for (language, file) in [
        ("proto", "echo.proto"),
        ("starlark", "BUILD.bazel"),
        ("cpp", "echo_host.cc"),
    ] {
        let content = fs::read_to_string(format!("{}/{file}", variable("FOLDER"))).unwrap();
        let begin = format!("```{language}\n");
        let block = page.split_once(&begin).unwrap().1.split_once("```").unwrap().0;
        assert!(block.lines().count() > 5, "{block}");
        for line in block.lines() {
            assert!(
                content.lines().any(|built| built == line),
                "{file} has no line {line:?}"
            );
        }
    }
}
