//! Which folder a service takes for its files, where file systems are mounted noexec.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use tempfile::TempDir;

use common::{Said, program};

/// A machine on which folders may be mounted noexec. The mounts exist for the programs that run in it.
struct Machine {
    scratch: TempDir,
    mounts: Vec<String>,
    variables: Vec<(&'static str, String)>,
}

impl Machine {
    /// One whose /run is mounted noexec, as Debian's is. Its /var/lib is empty, so that the tests leave
    /// nothing in that of this machine.
    fn debian() -> Self {
        let machine = Self {
            scratch: tempfile::tempdir().unwrap(),
            mounts: Vec::new(),
            variables: Vec::new(),
        };
        machine.mount("/run", "noexec").mount("/var/lib", "exec")
    }

    fn mount(mut self, folder: &str, option: &str) -> Self {
        let options = format!("mode=755,{option}");
        self.mounts
            .push(format!("mount -t tmpfs -o {options} none '{folder}' &&"));
        self
    }

    /// Sets a variable to a folder of its own that is mounted noexec.
    fn noexec_folder(mut self, variable: &'static str) -> Self {
        let folder = self.scratch.path().join(variable).display().to_string();
        fs::create_dir(&folder).unwrap();
        self.variables.push((variable, folder.clone()));
        self.mount(&folder, "noexec")
    }

    /// Runs the tool with these arguments, and then lists the folders in which it could have left files.
    fn run(&self, arguments: &[&str]) -> Said {
        let user = match fs::metadata("/proc/self").unwrap().uid() {
            0 => &["--mount"][..],
            _ => &["--user", "--map-root-user", "--mount"],
        };
        let script = format!(
            "{} {{ \"$0\" \"$@\"; code=$?; ls -d /run/* /var/lib/* >&2; exit $code; }}",
            self.mounts.concat()
        );
        let mut command = Command::new("unshare");
        for variable in ["DISABLE_GVISOR", "ROMA_RUN_DIR", "XDG_RUNTIME_DIR"] {
            command.env_remove(variable);
        }
        command
            .args(user)
            .args(["sh", "-c", &script])
            .arg(program("ROMA"))
            .args(arguments)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .output()
            .unwrap()
            .into()
    }
}

/// Returns what a check of a report found.
fn found(said: &Said, check: &str) -> String {
    said.check(check)["found"].as_str().unwrap().to_owned()
}

/// Starts a service and sends a request, in this mode.
fn verify(machine: &Machine, mode: &str) -> Said {
    let udf = program("ROMA_ECHO_UDF").display().to_string();
    machine.run(&["verify", "--mode", mode, &udf])
}

#[test]
fn gvisor_starts_where_run_is_mounted_noexec() {
    let said = verify(&Machine::debian(), "gvisor");
    assert_eq!(said.code, Some(0), "{said:?}");
    let files: Vec<_> = said.err.lines().filter(|l| l.ends_with("/roma")).collect();
    assert_eq!(files, ["/var/lib/roma"], "{said:?}");
}

#[test]
fn gvisor_starts_where_the_runtime_folder_of_the_user_is_mounted_noexec() {
    let said = verify(
        &Machine::debian().noexec_folder("XDG_RUNTIME_DIR"),
        "gvisor",
    );
    assert_eq!(said.code, Some(0), "{said:?}");
}

#[test]
fn minimal_executes_nothing_in_its_folder() {
    let said = verify(&Machine::debian(), "minimal");
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.err.contains("/run/roma"), "{said:?}");
}

#[test]
fn a_folder_that_was_named_and_is_mounted_noexec_is_refused_with_what_to_do() {
    let machine = Machine::debian().noexec_folder("ROMA_RUN_DIR");
    let said = verify(&machine, "gvisor");
    assert_ne!(said.code, Some(0), "{said:?}");
    let text = format!("{}{}", said.out, said.err).replace('\n', " ");
    for part in ["ROMA_RUN_DIR", "noexec", "`exec`"] {
        assert!(text.contains(part), "{part}: {said:?}");
    }
    assert_eq!(verify(&machine, "minimal").code, Some(0));
}

#[test]
fn doctor_tells_which_folder_is_taken_and_why_not_another() {
    let said = Machine::debian().run(&["doctor", "--json"]);
    assert_eq!(said.verdict("run directory"), "ok", "{said:?}");
    let found = found(&said, "run directory");
    assert!(
        found.starts_with("/var/lib/roma; not /run/roma: "),
        "{found}"
    );
    assert!(found.contains("noexec"), "{found}");
    assert_eq!(said.verdict("mode gvisor"), "ok", "{said:?}");
}

#[test]
fn doctor_advises_where_no_folder_can_be_used() {
    let machine = Machine::debian()
        .mount("/var/lib", "noexec")
        .noexec_folder("TMPDIR")
        .noexec_folder("XDG_CACHE_HOME");
    let said = machine.run(&["doctor", "--json"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!(said.verdict("run directory"), "weak", "{said:?}");
    let found = found(&said, "run directory");
    for folder in ["/run/roma", "/var/lib/roma", "TMPDIR", "XDG_CACHE_HOME"] {
        assert!(found.contains(folder), "{folder}: {found}");
    }
    let fix = said.check("run directory")["fix"].to_string();
    assert!(fix.contains("ROMA_RUN_DIR"), "{fix}");
    assert_eq!(
        said.check("mode gvisor")["fix"],
        "first those above: run directory"
    );
    assert_eq!(said.verdict("mode minimal"), "ok", "{said:?}");
}
