//! The SDK and the documentation of another workspace's API are complete and about that API.

use std::process::Command;

/// Returns the text of a file in a zip.
fn said(zip: &str, path: &str) -> String {
    let program = "import sys, zipfile
sys.stdout.buffer.write(zipfile.ZipFile(sys.argv[1]).read(sys.argv[2]))";
    let zip = std::env::var(zip).unwrap();
    let mut python = Command::new("python3");
    let done = python.args(["-c", program, &zip, path]).output().unwrap();
    assert!(
        done.status.success(),
        "{path}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    String::from_utf8_lossy(&done.stdout).into_owned()
}

#[test]
fn the_sdk_is_about_this_api() {
    for (path, part) in [
        ("specs/udf_interface.proto", "service GreetingService"),
        ("docs/udf/interface.md", "The person to greet, and the time."),
        (
            "examples/cc/udf.cc",
            "using Request = ::greeting::v1::GreetRequest;",
        ),
        (
            "examples/rust/main.rs",
            "udf_interface::greeting::v1::GreetRequest",
        ),
        (
            "helpers/rust/udf-interface/lib.rs",
            "pub struct GreetRequest",
        ),
    ] {
        assert!(said("SDK", path).contains(part), "no {part:?} in {path}");
    }
}

#[test]
fn the_sdk_has_the_files_of_every_sdk() {
    for path in [
        "LICENSE",
        "README.md",
        "docs/udf/communication.md",
        "docs/udf/syscalls.md",
        "helpers/cc/roma_udf.h",
        "helpers/go/udf/udf.go",
        "helpers/rust/roma-udf/lib.rs",
        "tools/roma",
        "tools/run_workers",
        "tools/runsc",
    ] {
        assert!(!said("SDK", path).is_empty(), "{path} is empty");
    }
}

#[test]
fn the_pages_for_integrators_are_about_this_api() {
    assert!(said("DOCS", "docs/udf/interface.md").contains("Greets one person."));
}
