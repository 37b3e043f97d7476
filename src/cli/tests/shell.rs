//! `roma shell` does what scripts say, in both real modes, and stops where they are wrong.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use prost_reflect::prost::Message;
use serde_json::{Value, json};
use tempfile::TempDir;

use common::{Said, assert_fits_a_terminal, program, roma, run};

/// A folder for scripts, and the shell that executes them.
struct Bed {
    folder: TempDir,
    arguments: Vec<String>,
}

impl Bed {
    /// With the sample API, without gVisor.
    fn new() -> Self {
        Self::with(&["--mode", "minimal", "--proto"]).and(&program("ROMA_SAMPLE_PROTO"))
    }

    fn with(arguments: &[&str]) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            arguments: arguments.iter().map(|text| (*text).to_owned()).collect(),
        }
    }

    fn and(mut self, path: &Path) -> Self {
        self.arguments.push(path.to_str().unwrap().to_owned());
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file in which `~` stands for the folder, `%` for that of the sample UDFs and `!` for
    /// the UDF that misbehaves.
    fn write(&self, name: &str, text: &str) -> PathBuf {
        let samples = program("ROMA_ECHO_UDF");
        let text = text
            .replace('~', self.folder.path().to_str().unwrap())
            .replace('%', samples.parent().unwrap().to_str().unwrap())
            .replace('!', program("ROMA_MISBEHAVING_UDF").to_str().unwrap());
        fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Runs a script.
    fn run(&self, script: &str) -> Said {
        let script = self.write("script", script);
        let mut command = roma();
        command.arg("shell").args(&self.arguments);
        command.arg("--commands-file").arg(script);
        command.output().unwrap().into()
    }

    /// Runs a script that must do well.
    fn good(&self, script: &str) -> String {
        let said = self.run(script);
        assert_eq!(said.code, Some(0), "{}\n{}", said.out, said.err);
        said.out
    }

    /// Runs a script that must fail at this line, and returns why.
    fn bad(&self, script: &str, line: u32) -> String {
        let said = self.run(script);
        assert_eq!(said.code, Some(1), "{script}: {}\n{}", said.out, said.err);
        let place = format!("error: {}:{line}: ", self.path("script").display());
        let error = said.err.lines().find_map(|line| line.strip_prefix(&place));
        error
            .unwrap_or_else(|| panic!("{script}: no {place} in {}", said.err))
            .to_owned()
    }
}

/// All JSON objects of a text.
fn objects(text: &str) -> Vec<Value> {
    let starts = text.match_indices("\n{\n").map(|(at, _)| at);
    let parse = |at| {
        serde_json::Deserializer::from_str(&text[at..])
            .into_iter()
            .next()
    };
    let objects = starts.filter_map(parse);
    objects.map(Result::unwrap).collect()
}

fn a_session(arguments: &[&str]) {
    let mut arguments = arguments.to_vec();
    arguments.push("--proto");
    let bed = Bed::with(&arguments).and(&program("ROMA_SAMPLE_PROTO"));
    let out = bed.good(
        "# a comment, and an empty line\n\n\
         load %/sample_udf 2\n\
         run {\"helloWorld\": {}}\n\
         Run {\"prime_sieve\":\n  {\"upTo\":\n 100}}\n\
         list\n",
    );
    assert!(out.contains("code_token=code-1-1\n"), "{out}");
    let hello = json!({"helloWorld": {"greeting": "Hello, world!"}});
    let primes = json!({"primeSieve": {"primeCount": 25, "largestPrime": 97, "rounds": "1"}});
    assert_eq!(objects(&out), [hello, primes], "{out}");
    assert_eq!(out.matches("which exited with code 0").count(), 2, "{out}");
    assert!(out.contains("code-1-1  sample_udf for all rpcs: "), "{out}");
}

#[test]
fn a_session_without_gvisor() {
    a_session(&["--mode", "minimal"]);
}

#[test]
fn a_session_in_gvisor() {
    a_session(&["--mode", "gvisor", "--platform", "systrap"]);
}

const ALL_KINDS: &str = r#"
    syntax = "proto3";
    package kinds;
    import "google/protobuf/timestamp.proto";
    service Kinds { rpc EchoAll(All) returns (All); rpc Flow(stream All) returns (All); }
    enum Colour { COLOUR_UNSPECIFIED = 0; COLOUR_RED = 7; }
    message All {
      double a_double = 1; float a_float = 2; int32 an_int32 = 3; int64 an_int64 = 4;
      uint32 a_uint32 = 5; uint64 a_uint64 = 6; sint32 a_sint32 = 7; sint64 a_sint64 = 8;
      fixed32 a_fixed32 = 9; fixed64 a_fixed64 = 10; sfixed32 a_sfixed32 = 11;
      sfixed64 a_sfixed64 = 12; bool a_bool = 13; string a_string = 14; bytes some_bytes = 15;
      Colour colour = 16; All inner = 17; repeated sint32 many = 18; map<string, All> by_name = 19;
      optional int32 maybe = 21; oneof choice { string text = 22; uint32 number = 23; }
      google.protobuf.Timestamp time = 25;
    }
"#;

fn all_kinds() -> Value {
    json!({
        "aDouble": 0.5, "aFloat": -1.5, "anInt32": -1, "anInt64": "-9223372036854775808",
        "aUint32": 4294967295_u32, "aUint64": "18446744073709551615", "aSint32": -1,
        "aSint64": "-1", "aFixed32": 1, "aFixed64": "2", "aSfixed32": -3, "aSfixed64": "-4",
        "aBool": true, "aString": "zw\u{f6}lf", "someBytes": "AP9/", "colour": "COLOUR_RED",
        "inner": {"inner": {"aBool": true}}, "many": [3, -1, 2], "byName": {"x": {"anInt32": 1}},
        "maybe": 0, "number": 0, "time": "2026-01-02T03:04:05Z",
    })
}

#[test]
fn every_kind_of_field_goes_in_and_out() {
    let bed = Bed::with(&["--mode", "minimal", "--proto"]);
    fs::write(bed.path("kinds.proto"), ALL_KINDS).unwrap();
    let proto = bed.path("kinds.proto");
    let bed = bed.and(&proto);
    fs::write(bed.path("in.json"), all_kinds().to_string()).unwrap();
    let out = bed.good("load !\necho_all ~/in.json\nEchoAll ~/in.json ~/out.json\n");
    assert_eq!(objects(&out), [all_kinds()], "{out}");
    assert_eq!(
        serde_json::from_str::<Value>(&bed.read("out.json")).unwrap(),
        all_kinds()
    );
    let error = bed.bad("load !\nFlow {}\n", 2);
    assert!(error.contains("streaming"), "{error}");
}

#[test]
fn a_descriptor_set_can_replace_a_proto() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("kinds.proto"), ALL_KINDS).unwrap();
    let set = protox::compile(["kinds.proto"], [folder.path()]).unwrap();
    let path = folder.path().join("set.binpb");
    fs::write(&path, set.encode_to_vec()).unwrap();
    let bed = Bed::with(&["--mode", "minimal", "--descriptor"]).and(&path);
    let out = bed.good("load !\necho_all {\"aBool\": true}\n");
    assert_eq!(objects(&out), [json!({"aBool": true})], "{out}");
}

#[test]
fn unknown_fields_are_reported_and_ignored() {
    let said = Bed::new().run("load %/sample_udf\nrun {\"helloWorld\": {}, \"nonsense\": 1}\n");
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.err.contains("nonsense"), "{}", said.err);
}

#[test]
fn without_an_api_bytes_go_in_and_out() {
    let bed = Bed::with(&["--mode", "minimal"]);
    fs::write(bed.path("request"), b"\x0a\x03abc").unwrap();
    let out = bed.good(
        "load !\nexecute hello\nexecute 'two words'\nexecute @~/request ~/response\n\
         execute @~/request ~/response\nexecute @~/request\n",
    );
    assert!(
        out.contains("\nhello\n") && out.contains("\ntwo words\n"),
        "{out}"
    );
    assert!(out.contains("\\n\\x03abc\n"), "{out}");
    assert_eq!(bed.read("response"), "\x0a\x03abc\x0a\x03abc");
    assert!(bed.bad("load !\nrun {}\n", 2).contains("no command run"));
}

#[test]
fn scripts_and_flags_of_the_older_shell_work() {
    let bed = Bed::new();
    bed.write("hello.json", r#"{"helloWorld": {}}"#);
    bed.write(
        "log.json",
        r#"{"log": {"standardOutput": "out\n", "standardError": "err"}}"#,
    );
    bed.write(
        "script",
        "load Run %/sample_udf\nRun ~/hello.json ~/responses\nRun ~/hello.json ~/responses\n\
         l Run %/log_udf\nRun ~/log.json\nh\n?\nexit\nnot reached\n",
    );
    let at = |flag: &str, name: &str| format!("--{flag}={}", bed.path(name).display());
    let said: Said = roma()
        .arg("shell")
        .arg(format!(
            "--proto={}",
            program("ROMA_SAMPLE_PROTO").display()
        ))
        .args([
            "--sandbox=nsjail",
            "--syscall_filtering=untrusted",
            "--num_workers=2",
        ])
        .args(["--connection_timeout=1m", "--disable_ipc_namespace=true"])
        .args([at("commands_file", "script"), at("udf_log_file", "logs")])
        .output()
        .unwrap()
        .into();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("code-1-1 is deleted"), "{}", said.out);
    let greetings = bed.read("responses").matches("Hello, world!").count();
    assert_eq!(greetings, 2, "the response is appended");
    let logs = bed.read("logs");
    assert_eq!(logs.matches("Execution Token: ").count(), 3, "{logs}");
    assert!(logs.contains("out\nerr"), "{logs}");
}

#[test]
fn the_first_error_of_a_script_ends_it_and_names_its_place() {
    let bed = Bed::new();
    let said = bed.run("load %/sample_udf\n\nrun {\n}\nlist\n");
    assert_eq!(said.code, Some(1), "{said:?}");
    let place = format!("{}:3: ", bed.path("script").display());
    assert!(
        said.err.contains(&place) && said.err.contains("code 70"),
        "{}",
        said.err
    );
    assert!(
        !said.out.contains("all rpcs"),
        "what follows is not done: {}",
        said.out
    );
}

#[test]
fn each_mistake_is_an_error() {
    let bed = Bed::new();
    for (script, words) in [
        ("walk {}", "no command walk"),
        ("load", "usage: load"),
        ("load walk %/sample_udf", "walk is not an rpc"),
        ("load ~/nothing", "does not exist"),
        ("commands", "usage: commands"),
        ("commands ~/nothing", "No such file"),
        ("run {}", "nothing is loaded"),
        ("logs", "nothing was asked"),
        ("cancel", "no request is under way"),
        ("delete", "name the code"),
        ("delete code-1-9", "code-1-9 is not loaded"),
    ] {
        let error = bed.bad(script, 1);
        assert!(error.contains(words), "{script}: {error}");
    }
    let error = bed.bad("load %/sample_udf\nrun {\n\"helloWorld\": {}\n", 2);
    assert!(error.contains("does not end"), "{error}");
    for (script, words) in [
        ("run", "usage: run"),
        ("run a b c", "usage: run"),
        ("run ~/nothing", "No such file"),
        ("run {\"helloWorld\": 1}", "roma.sample.SampleRequest"),
        ("run {\"helloWorld\": {}", "bad JSON"),
        ("run {} ~/no/such/folder", "code 70"),
        ("time 2 run {}", "request 1 of 2"),
    ] {
        let error = bed.bad(&format!("load %/sample_udf\n{script}\nlist"), 2);
        assert!(error.contains(words), "{script}: {error}");
    }
}

#[test]
fn files_call_files_but_not_themselves() {
    let bed = Bed::new();
    bed.write("inner", "load %/sample_udf\nrun {\"helloWorld\": {}}\n");
    bed.write("empty", "");
    let out = bed.good("commands ~/inner\ncommands ~/empty\ncommands ~/inner\n");
    assert_eq!(out.matches("Hello, world!").count(), 2, "{out}");
    bed.write("inner", "\nwalk\n");
    let error = bed.bad("commands ~/inner\n", 1);
    assert!(
        error.starts_with(&format!("{}:2: ", bed.path("inner").display())),
        "{error}"
    );
    bed.write("inner", "commands ~/script\n");
    let error = bed.bad("list\ncommands ~/inner\n", 2);
    let (script, inner) = (bed.path("script"), bed.path("inner"));
    let [script, inner] = [script, inner].map(|path| path.canonicalize().unwrap());
    let chain = format!("{0} -> {1} -> {0}", script.display(), inner.display());
    assert!(error.contains(&chain), "{error}");
    bed.write("inner", "exit\n");
    let out = bed.good("commands ~/inner\nwalk\n");
    assert_eq!(out, "", "exit within a file ends everything");
}

#[test]
fn commands_without_end_are_refused_and_never_held_in_memory() {
    let bed = Bed::with(&["--mode", "minimal"]);
    for path in ["/dev/zero", "/dev/null", "~/fifo", "~"] {
        if path == "~/fifo" {
            let made = Command::new("mkfifo").arg(bed.path("fifo")).status();
            assert!(made.unwrap().success());
        }
        let error = bed.bad(&format!("\ncommands {path}\n"), 2);
        assert!(error.contains("regular files only"), "{path}: {error}");
    }
    bed.write("long", &format!("list\n{}\n", "x".repeat(1 << 20 | 1)));
    // Few lines: each is looked at together with those before it.
    let line = format!("{}\n", "\"x\": 1, ".repeat(1 << 13));
    bed.write("many", &format!("run {{\n{}", line.repeat(20)));
    for name in ["long", "many"] {
        let error = bed.bad(&format!("commands ~/{name}\n"), 1);
        assert!(error.contains("more than 1048576 bytes"), "{name}: {error}");
    }
    let said: Said = roma()
        .args(["shell", "--mode", "minimal"])
        .stdin(fs::File::open("/dev/zero").unwrap())
        .output()
        .unwrap()
        .into();
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.err.contains("standard input:1: ") && said.err.contains("more than"),
        "{said:?}"
    );
}

#[test]
fn background_requests_can_be_cancelled() {
    let out = Bed::new().good(
        "load %/sample_udf 2\n\
         run {\"primeSieve\": {\"atLeast\": \"600s\"}} &\n\
         run {\"helloWorld\": {}} &\n\
         list\ncancel 1\nwait\nlist\n",
    );
    assert!(
        out.contains("[1] is asked") && out.contains("[1] was cancelled"),
        "{out}"
    );
    assert!(out.contains("[1] run {\"primeSieve\""), "{out}");
    assert_eq!(out.matches("Hello, world!").count(), 1, "{out}");
}

#[test]
fn background_requests_are_waited_for_at_the_end() {
    let bed = Bed::new();
    let out = bed.good("load %/sample_udf\nrun {\"helloWorld\": {}} &\n");
    assert!(out.contains("Hello, world!"), "{out}");
    let said = bed.run("load %/sample_udf\nrun {} &\n");
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.err.contains("[1]") && said.err.contains("code 70"),
        "{}",
        said.err
    );
}

#[test]
fn code_is_replaced_deleted_timed_and_its_output_shown() {
    let out = Bed::new().good(
        "load %/sample_udf\n\
         load run %/log_udf\n\
         run {\"log\": {\"standardOutput\": \"to whom it may concern\"}}\nlogs\n\
         list\ndelete code-1-2\nrun {\"helloWorld\": {}}\nlogs\n\
         time 5 run {\"helloWorld\": {}}\nload %/new_udf\ndelete\nlist\n",
    );
    assert!(out.contains("code-1-2  log_udf for Run: "), "{out}");
    for expected in [
        "to whom it may concern",
        "code-1-2 is deleted\n",
        "it printed nothing",
        "5 requests: p50 ",
        "code-1-1 is deleted: code-1-3 takes its place",
        "code-1-3 is deleted\n",
        "nothing is loaded",
    ] {
        assert!(out.contains(expected), "no {expected:?} in {out}");
    }
}

/// Checks that a text has the output of the UDF that prints escapes, and none of the escapes.
#[track_caller]
fn assert_escaped(text: &str) {
    assert!(text.contains("before \\u001b[2J\\u009b2J"), "{text:?}");
    let obeyed = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!text.contains(obeyed), "{text:?}");
}

#[test]
fn escapes_of_a_udf_do_not_reach_the_terminal_or_the_log_file() {
    let bed = Bed::with(&["--mode", "minimal", "--udf-log-file"]);
    let log_file = bed.path("logs");
    let bed = bed.and(&log_file);
    assert_escaped(&bed.good("load !\nexecute escapes ~/response\nlogs\n"));
    assert_escaped(&bed.read("logs"));
    assert!(
        bed.read("response").contains('\x1b'),
        "a response in a file is data"
    );
    let out = bed.good("load !\nexecute escapes\n");
    assert!(
        out.contains("before \\x1b[2J") && !out.contains('\x1b'),
        "{out:?}"
    );
    let said = bed.run("load !\nexecute escapes-and-exit\n");
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_escaped(&said.err);
    let mut command = roma();
    command.args(["shell", "--mode", "minimal", "--arg", "crash with escapes"]);
    let script = bed.write("script", "load !\n");
    let said: Said = command
        .arg("--commands-file")
        .arg(script)
        .output()
        .unwrap()
        .into();
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_escaped(&said.err);
}

#[test]
fn escapes_in_a_message_stay_json_with_the_same_value() {
    let bed = Bed::with(&["--mode", "minimal", "--proto"]);
    fs::write(bed.path("kinds.proto"), ALL_KINDS).unwrap();
    let proto = bed.path("kinds.proto");
    let bed = bed.and(&proto);
    let message = json!({"aString": "a\u{1b}[2J\u{9b}\u{202e}\u{7f}"});
    fs::write(bed.path("in.json"), message.to_string()).unwrap();
    let out = bed.good("load !\necho_all ~/in.json\n");
    let obeyed = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!out.contains(obeyed), "{out:?}");
    assert_eq!(objects(&out), [message], "{out}");
}

#[test]
fn host_functions_answer_what_a_file_says() {
    let bed = Bed::with(&["--mode", "minimal", "--host-answers"]);
    let answers =
        r#"{"lookup": "a canned answer", "gone": {"error": "NOT_FOUND", "message": "sold out"}}"#;
    let answers = bed.write("answers.json", answers);
    let out = bed
        .and(&answers)
        .good("load !\nexecute 'call lookup x'\nexecute 'call gone x'\nexecute 'call other x'\n");
    for words in ["a canned answer", "sold out", "no such host function"] {
        assert!(out.contains(words), "{out}");
    }
}

#[test]
fn lines_may_come_from_standard_input() {
    let with_input = |input: &str| -> Said {
        let mut command = roma();
        command.args(["shell", "--mode", "minimal"]);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut shell = command.spawn().unwrap();
        shell
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        shell.wait_with_output().unwrap().into()
    };
    let load = format!("load {}\n", program("ROMA_MISBEHAVING_UDF").display());
    let said = with_input(&format!("{load}execute hello\n"));
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("\nhello\n"), "{}", said.out);
    let said = with_input(&format!("{load}walk\nexecute hello\n"));
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("standard input:2: "), "{}", said.err);
    assert!(!said.out.contains("hello"), "{}", said.out);
}

#[test]
fn help_fits_into_a_terminal_and_names_the_rpcs() {
    let out = Bed::new().good("help\n");
    assert_fits_a_terminal(&out);
    for expected in [
        "\ncommands FILE",
        "\nexit",
        "run or Run: SampleRequest -> SampleResponse",
    ] {
        assert!(out.contains(expected), "no {expected:?} in {out}");
    }
    for command in ["bench", "demo", "doctor", "shell", "soak", "verify"] {
        let help = run(&[command, "--help"]);
        assert_eq!(help.code, Some(0), "{command}");
        assert_fits_a_terminal(&help.out);
    }
}

#[test]
fn a_wrong_use_is_distinguished_from_a_failing_script() {
    let code = |arguments: &[&str]| {
        let arguments = [&["shell", "--mode", "minimal"], arguments].concat();
        run(&arguments).code
    };
    assert_eq!(code(&["--proto", "/no/such.proto"]), Some(2));
    assert_eq!(code(&["--service", "Some"]), Some(2));
    assert_eq!(code(&["--connection_timeout", "soon"]), Some(2));
    assert_eq!(code(&["--env", "A"]), Some(2));
    assert_eq!(code(&["--sandbox=chroot"]), Some(2));
    assert_eq!(code(&["--commands-file", "/no/such/file"]), Some(1));
}
