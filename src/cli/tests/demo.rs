//! `roma demo` keeps what it promises, prints it legibly, and leaves nothing behind.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{Said, assert_fits_a_terminal, program, roma};

/// Long enough for any machine: this bounds hangs, never speed.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the hostile program tries. The sandboxes refuse all of it.
const ATTACKS: [&str; 5] = [
    "reads /etc/passwd of this machine ",
    "sends a secret over the network ",
    "changes its own program ",
    "becomes root ",
    "kills all processes that it can reach ",
];

/// Which mode, and the options for it that start it soon.
const GVISOR: &[&str] = &["demo", "--mode", "gvisor", "--platform", "systrap"];
const MINIMAL: &[&str] = &["demo", "--mode", "minimal"];

fn demo(arguments: &[&str]) -> Said {
    roma().args(arguments).output().unwrap().into()
}

/// Returns the only line that contains this.
#[track_caller]
fn line<'a>(said: &'a Said, text: &str) -> &'a str {
    let mut lines = said.out.lines().filter(|line| line.contains(text));
    let (first, second) = (lines.next(), lines.next());
    assert!(second.is_none(), "{text:?} is there twice: {said:?}");
    first.unwrap_or_else(|| panic!("no {text:?} in {said:?}"))
}

fn numbers(text: &str) -> Vec<u32> {
    let words = text.split(|c: char| !c.is_ascii_digit());
    words.filter_map(|word| word.parse().ok()).collect()
}

/// Asserts all that the demo promises in every mode.
#[track_caller]
fn assert_kept(said: &Said) {
    assert_eq!((said.code, &*said.err), (Some(0), ""), "{said:?}");
    assert_fits_a_terminal(&said.out);
    assert!(!said.out.contains('\x1b'), "{said:?}");
    assert_own_processes(said);
    for attack in ATTACKS {
        assert!(line(said, attack).contains("refused: "), "{said:?}");
    }
    assert!(line(said, "starts four processes that never end").contains("ended after"));
    line(said, "Error: the UDF did not answer within 500ms");
    line(said, "Fault: the program's. It was ended by SIGKILL");
    line(said, "The next requests succeed");
    line(said, "Everything ended, and nothing is left");
    let gone = numbers(line(said, " gone."));
    assert!(!gone.is_empty(), "{said:?}");
    for process in gone {
        assert!(!Path::new(&format!("/proc/{process}")).exists(), "{said:?}");
    }
}

/// Asserts that as many processes answered as there were answers.
#[track_caller]
fn assert_own_processes(said: &Said) {
    let counts = said.out.lines().filter(|line| line.contains(" answers "));
    let counts: Vec<_> = counts.map(numbers).collect();
    let [in_sequence, at_once] = &counts[..] else {
        panic!("{said:?}");
    };
    assert_eq!(in_sequence, &[20, 20], "{said:?}");
    assert_eq!(at_once[0], at_once[1], "{said:?}");
    assert!(at_once[0] > 0, "{said:?}");
}

#[test]
fn the_demo_keeps_its_promises_in_gvisor() {
    let said = demo(GVISOR);
    assert_kept(&said);
    line(&said, "Up after");
    assert!(said.out.contains(" on systrap ("), "{said:?}");
    line(&said, "- gVisor: a kernel in user space");
    assert!(!said.out.contains("DISABLED"), "{said:?}");
    assert!(!said.out.contains("measures"), "{said:?}");
}

#[test]
fn the_demo_keeps_its_promises_without_gvisor_and_says_that_it_is_off() {
    let by_environment = || roma().args(GVISOR).env("DISABLE_GVISOR", "true").output();
    for said in [demo(MINIMAL), by_environment().unwrap().into()] {
        assert_kept(&said);
        line(&said, "*** WARNING: gVisor is DISABLED (mode minimal). ***");
        line(&said, "- NO gVisor: this machine's own kernel");
    }
}

#[test]
fn only_the_first_start_measures_platforms_and_says_so() {
    let cache = tempfile::tempdir().unwrap();
    let start = || -> Said {
        let mut command = roma();
        command.args(["demo", "--mode", "gvisor"]);
        command.env("XDG_CACHE_HOME", cache.path());
        command.output().unwrap().into()
    };
    let first = start();
    assert_kept(&first);
    line(&first, "The first start on a machine measures");
    assert!(first.out.contains("   on "), "{first:?}");
    let second = start();
    assert_kept(&second);
    assert!(!second.out.contains("measures"), "{second:?}");
}

#[test]
fn an_attack_that_works_fails_the_demo() {
    // It repeats the request, which is not one of the answers that mean a refusal.
    let udf = program("ROMA_MISBEHAVING_UDF");
    let said = demo(&[MINIMAL, &["--hostile", udf.to_str().unwrap()]].concat());
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(line(&said, ATTACKS[0]).contains("IT WORKED"), "{said:?}");
    assert!(
        said.err.contains("the sandboxes do not hold"),
        "{}",
        said.err
    );
    line(&said, "Everything ended, and nothing is left");
}

#[test]
fn a_reader_that_closes_the_pipe_ends_the_demo_without_an_error() {
    let mut command = roma();
    command.args(MINIMAL);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut first = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut first).unwrap();
    drop(out);
    let said: Said = child.wait_with_output().unwrap().into();
    assert!(first.starts_with("Roma runs"), "{first}");
    assert_eq!((said.code, &*said.err), (Some(0), ""));
}

#[test]
fn a_signal_at_any_moment_leaves_nothing() {
    // (with an empty cache, which a start first fills)
    const MEASURING: &[&str] = &["demo", "--mode", "gvisor"];
    for mode in [GVISOR, MEASURING, MINIMAL] {
        for millis in [0, 30, 100, 200, 400, 800, 1200, 2000] {
            let run_dir = tempfile::tempdir().unwrap();
            let code = interrupted(mode, run_dir.path(), Duration::from_millis(millis));
            // A signal before the first line ends a program in the usual way.
            assert!(matches!(code, None | Some(0 | 130)), "{code:?}");
            let left: Vec<_> = fs::read_dir(run_dir.path()).unwrap().collect();
            assert!(left.is_empty(), "{mode:?} after {millis} ms: {left:?}");
            assert_no_process_has(run_dir.path());
        }
    }
}

/// Starts the demo and interrupts it, and returns its exit code.
fn interrupted(mode: &[&str], run_dir: &Path, after: Duration) -> Option<i32> {
    let mut command = roma();
    let cache = tempfile::tempdir().unwrap();
    command.args(mode).env("ROMA_RUN_DIR", run_dir);
    command.env("XDG_CACHE_HOME", cache.path());
    command.stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    sleep(after);
    let pid = child.id().to_string();
    let sent = Command::new("kill").args(["-INT", &pid]).status();
    assert!(sent.unwrap().success());
    child.wait().unwrap().code()
}

/// Asserts that no process has a folder in its command line. What runsc started while it was killed may
/// need a moment to end.
#[track_caller]
fn assert_no_process_has(folder: &Path) {
    let until = Instant::now() + PATIENCE;
    loop {
        let left = processes_with(folder);
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < until, "{left:?}");
        sleep(Duration::from_millis(10));
    }
}

/// Returns the command lines that name a folder.
fn processes_with(folder: &Path) -> Vec<String> {
    let all = fs::read_dir("/proc").unwrap().flatten();
    let commands = all.filter_map(|entry| fs::read_to_string(entry.path().join("cmdline")).ok());
    let name = folder.to_str().unwrap();
    commands.filter(|command| command.contains(name)).collect()
}

#[test]
fn colours_are_on_terminals_that_have_them() {
    let on_terminal = |variable: &str, value: &str| {
        let line = format!("{} demo --mode minimal", program("ROMA").display());
        let mut command = Command::new("script");
        command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        command.env("TERM", "xterm").env_remove("NO_COLOR");
        let output = command.env(variable, value).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let coloured = on_terminal("TERM", "xterm");
    for code in ["\x1b[1m", "\x1b[32m", "\x1b[31m"] {
        assert!(coloured.contains(code), "{coloured:?}");
    }
    for (variable, value) in [("TERM", "dumb"), ("NO_COLOR", "1")] {
        let plain = on_terminal(variable, value);
        assert!(plain.contains("Everything ended"), "{plain:?}");
        assert!(!plain.contains('\x1b'), "{plain:?}");
    }
}
