//! Code is loaded and called, in a process without a sandbox.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use roma_v8_shim::{
    Failure, Host, Inputs, Isolate, Kind, Limits, Output, Severity, Snapshot, Value, start, version,
};

const NO_PRELUDE: &str = "";
const MB: usize = 1 << 20;

/// A host that answers with what it was asked, and keeps what is printed.
#[derive(Clone, Default)]
struct Echo(Arc<Mutex<Vec<(Severity, String)>>>);

impl Host for Echo {
    fn call(&mut self, name: &str, argument: Value) -> Result<Value, String> {
        match name {
            "echo" => Ok(argument),
            "large" => Ok(Value {
                kind: Kind::Bytes,
                bytes: vec![7; 3 * MB],
            }),
            _ => Err(format!("there is no {name}")),
        }
    }

    fn log(&mut self, severity: Severity, line: &str) {
        self.0.lock().unwrap().push((severity, line.to_owned()));
    }
}

fn limits() -> Limits {
    Limits {
        heap_maximum: 32 * MB,
        array_buffers: 16 * MB,
        ..Limits::default()
    }
}

fn begin() {
    start(&["--single-threaded"]);
}

/// An isolate in the state of a snapshot of the code.
fn loaded(code: &str) -> Isolate {
    begin();
    let snapshot = Snapshot::of(NO_PRELUDE, code, limits()).unwrap();
    Isolate::new(Some(snapshot), limits(), Box::new(Echo::default()))
}

/// An isolate in which each context runs the code.
fn scripted(code: &str) -> Isolate {
    begin();
    let mut isolate = Isolate::new(None, limits(), Box::new(Echo::default()));
    isolate.add_script("udf.js", code).unwrap();
    isolate
}

fn call(isolate: &mut Isolate, handler: &str, inputs: &[&str]) -> Result<String, Failure> {
    match isolate.call(handler, Inputs::Json(inputs))? {
        Output::Json(json) => Ok(json),
        Output::Bytes(bytes) => panic!("{bytes:?}"),
    }
}

fn failure(code: &str) -> Failure {
    call(&mut loaded(code), "f", &[]).unwrap_err()
}

#[test]
fn the_version_is_that_of_the_headers() {
    assert!(version().split('.').count() >= 3, "{}", version());
}

#[test]
fn inputs_and_results_are_json() {
    let code = "function f(...all) { return all }
                function g() {} ; const h = x => 'h' + x; const space = { inner: { f: () => 1 } };
                class C { static f() { return this === C } }";
    for mut isolate in [loaded(code), scripted(code)] {
        let mut ask = |handler: &str, inputs: &[&str]| call(&mut isolate, handler, inputs).unwrap();
        assert_eq!(
            ask("f", &["1", r#"{"a":"ä€"}"#, "[null]"]),
            r#"[1,{"a":"ä€"},[null]]"#
        );
        assert_eq!(ask("f", &[]), "[]");
        assert_eq!(ask("g", &[]), "undefined");
        assert_eq!(ask("h", &["2"]), r#""h2""#);
        assert_eq!(ask("space.inner.f", &[]), "1");
        assert_eq!(ask("C.f", &[]), "true");
    }
}

#[test]
fn bytes_go_in_and_out() {
    let mut isolate =
        loaded("function f(b) { return b.subarray(1) } function g(b) { return b.length }");
    let bytes: Vec<u8> = (0..=255).collect();
    let answer = isolate.call("f", Inputs::Bytes(&bytes)).unwrap();
    assert_eq!(answer, Output::Bytes(bytes[1..].to_vec()));
    let answer = isolate.call("g", Inputs::Bytes(&[])).unwrap();
    assert_eq!(answer, Output::Json("0".to_owned()));
}

#[test]
fn each_failure_has_its_kind() {
    begin();
    let load = |code: &str| Snapshot::of(NO_PRELUDE, code, limits()).unwrap_err();
    assert!(
        matches!(load("function ("), Failure::NotCompiled(text) if text.contains("SyntaxError"))
    );
    assert!(matches!(load("nothing()"), Failure::Threw(text) if text.contains("ReferenceError")));
    assert!(
        matches!(load("romaHost('echo', 't', '')"), Failure::Threw(text) if text.contains("while code is loaded"))
    );
    let threw = failure("function f() { throw new Error('why') }");
    assert!(
        matches!(&threw, Failure::Threw(text) if text.contains("Uncaught Error: why") && text.contains("at f")),
        "{threw:?}"
    );
    assert_eq!(failure("function g() {}"), Failure::NoHandler);
    assert_eq!(failure("var f = 1"), Failure::NoHandler);
    assert!(matches!(
        failure("function f() { return 1n }"),
        Failure::NoResult(_)
    ));
    assert!(matches!(
        failure("function f() { return { toJSON() { throw Error('no') } } }"),
        Failure::NoResult(_)
    ));
    assert_eq!(
        failure("function f() { return new Promise(() => {}) }"),
        Failure::NeverSettles
    );
    let rejected = failure("async function f() { throw 'late' }");
    assert!(
        matches!(&rejected, Failure::Threw(text) if text.contains("late")),
        "{rejected:?}"
    );
    let unhandled = failure("function f() { Promise.reject('left'); return 1 }");
    assert!(
        matches!(&unhandled, Failure::Threw(text) if text.contains("left")),
        "{unhandled:?}"
    );
    let mut isolate = loaded("function f(x) { return x }");
    assert!(matches!(
        call(&mut isolate, "f", &["{"]).unwrap_err(),
        Failure::InputNotJson(_)
    ));
    for name in [
        "",
        ".",
        "f.",
        "f()",
        "1",
        "globalThis.constructor.constructor('x')",
    ] {
        assert_eq!(
            call(&mut isolate, name, &[]).unwrap_err(),
            Failure::NoHandler,
            "{name}"
        );
    }
    assert_eq!(
        call(&mut isolate, "f", &["1"]).unwrap(),
        "1",
        "it goes on after failures"
    );
}

#[test]
fn promises_are_awaited() {
    let mut isolate =
        loaded("async function f(x) { await null; await g(); return x + 1 } async function g() {}");
    assert_eq!(call(&mut isolate, "f", &["1"]).unwrap(), "2");
}

#[test]
fn no_call_finds_what_another_one_left() {
    let code = "var count = 0; const object = {};
        function f() { count += 1; globalThis.left = (globalThis.left || 0) + 1; object.x = (object.x || 0) + 1;
            Array.prototype.left = (Array.prototype.left || 0) + 1;
            Promise.resolve().then(() => { globalThis.later = 1; });
            const seen = [count, left, object.x, Array.prototype.left, typeof later];
            delete Array.prototype.left; return seen }
        function pending() { (async () => { for (;;) await null })(); return 1 }";
    for mut isolate in [loaded(code), scripted(code)] {
        for _ in 0..3 {
            assert_eq!(
                call(&mut isolate, "f", &[]).unwrap(),
                r#"[1,1,1,1,"undefined"]"#
            );
            isolate.prepare().unwrap();
        }
    }
}

#[test]
fn tasks_of_a_call_that_was_ended_do_not_run_in_the_next() {
    let mut isolate = loaded(
        "function f() { Promise.resolve().then(() => romaLog(0, 'from before')); for (;;); }
         async function g() { await null; return 1 }",
    );
    end_soon(&isolate);
    assert_eq!(
        call(&mut isolate, "f", &[]).unwrap_err(),
        Failure::Terminated
    );
    assert_eq!(call(&mut isolate, "g", &[]).unwrap(), "1");
}

/// Ends what the isolate runs in a moment.
fn end_soon(isolate: &Isolate) {
    let terminator = isolate.terminator();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        terminator.terminate();
    });
}

#[test]
fn a_terminator_ends_whatever_runs() {
    for body in [
        "for (;;);",
        "for (;;) { try { for (;;); } catch { } finally { } }",
        "return { toJSON() { for (;;); } }",
        "return new Proxy({}, { ownKeys() { for (;;); } })",
        "return (async () => { for (;;) await null })()",
        "/(a*)*b/.test('a'.repeat(40))",
        "const a = []; for (;;) { a.sort(); a.push(1) }",
    ] {
        let mut isolate = loaded(&format!(
            "function f() {{ {body} }} function g() {{ return 1 }}"
        ));
        end_soon(&isolate);
        assert_eq!(
            call(&mut isolate, "f", &[]).unwrap_err(),
            Failure::Terminated,
            "{body}"
        );
        assert_eq!(call(&mut isolate, "g", &[]).unwrap(), "1", "{body}");
    }
}

#[test]
fn code_that_fills_the_heap_is_ended_and_the_next_call_works() {
    let mut isolate = loaded(
        "function f() { const all = []; for (;;) all.push(new Array(1000).fill(1)) }
         function g() { return 1 }
         function h() { const all = []; for (;;) all.push(new Uint8Array(1 << 20)) }",
    );
    for _ in 0..2 {
        assert_eq!(
            call(&mut isolate, "f", &[]).unwrap_err(),
            Failure::OutOfMemory
        );
        assert_eq!(call(&mut isolate, "g", &[]).unwrap(), "1");
        let buffers = call(&mut isolate, "h", &[]).unwrap_err();
        assert!(
            matches!(&buffers, Failure::Threw(text) if text.contains("RangeError")),
            "{buffers:?}"
        );
    }
}

#[test]
fn host_functions_and_output_reach_the_host() {
    let code = "function f() { romaLog(0, 'a'); romaLog(1, 'ä'); romaLog(2, '');
            return [romaHost('echo', 't', 'text'), romaHost('echo', 'b', new Uint8Array([1, 2])).length,
                    romaHost('large', 't', '').length] }
        function g() { try { romaHost('other', 't', '') } catch (e) { return String(e) } }";
    begin();
    let snapshot = Snapshot::of(NO_PRELUDE, code, limits()).unwrap();
    let echo = Echo::default();
    let mut isolate = Isolate::new(Some(snapshot), limits(), Box::new(echo.clone()));
    assert_eq!(
        call(&mut isolate, "f", &[]).unwrap(),
        format!(r#"["text",2,{}]"#, 3 * MB)
    );
    assert_eq!(
        call(&mut isolate, "g", &[]).unwrap(),
        r#""Error: there is no other""#
    );
    let lines = echo.0.lock().unwrap().clone();
    let severities = [Severity::Info, Severity::Warning, Severity::Error];
    let expected: Vec<_> = severities
        .into_iter()
        .zip(["a", "ä", ""].map(str::to_owned))
        .collect();
    assert_eq!(lines, expected);
}

/// `(module (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add))`
const ADD: &[u8] = &[
    0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 7, 1, 0x60, 2, 0x7f, 0x7f, 1, 0x7f, 3, 2, 1, 0, 7, 7, 1, 3,
    0x61, 0x64, 0x64, 0, 0, 10, 9, 1, 7, 0, 0x20, 0, 0x20, 1, 0x6a, 0x0b,
];

#[test]
fn a_module_is_compiled_once_and_there_in_each_context() {
    begin();
    let mut isolate = Isolate::new(None, limits(), Box::new(Echo::default()));
    isolate.add_module("wasmModule", ADD).unwrap();
    isolate.add_bytes("wasmBytes", ADD);
    let code = "const instance = new WebAssembly.Instance(wasmModule);
        function f(a, b) { return instance.exports.add(a, b) }
        function g() { return [wasmBytes.length, new WebAssembly.Instance(new WebAssembly.Module(wasmBytes)).exports.add(2, 3)] }";
    isolate.add_script("udf.js", code).unwrap();
    let compiled = roma_v8_shim::modules_compiled();
    for _ in 0..3 {
        assert_eq!(call(&mut isolate, "f", &["1", "2"]).unwrap(), "3");
        assert_eq!(
            call(&mut isolate, "g", &[]).unwrap(),
            format!("[{},5]", ADD.len())
        );
    }
    assert_eq!(roma_v8_shim::modules_compiled(), compiled);
    let wrong = isolate.add_module("x", b"\0asm").unwrap_err();
    assert!(
        matches!(&wrong, Failure::NotCompiled(text) if text.contains("CompileError")),
        "{wrong:?}"
    );
}

#[test]
fn what_a_snapshot_cannot_keep_is_refused_and_can_be_a_script() {
    begin();
    let code =
        "const module = new WebAssembly.Module(new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]));
        function f() { return module instanceof WebAssembly.Module }";
    let refused = Snapshot::of(NO_PRELUDE, code, limits());
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(call(&mut scripted(code), "f", &[]).unwrap(), "true");
}

#[test]
fn the_heap_is_measured_and_contexts_go_away() {
    let mut isolate = loaded("function f() { return new Uint8Array(1 << 20).length }");
    for _ in 0..200 {
        call(&mut isolate, "f", &[]).unwrap();
    }
    let heap = isolate.heap();
    assert!(heap.used > 0 && heap.used <= heap.limit, "{heap:?}");
    assert!(
        heap.array_buffers <= 16 * MB && heap.contexts < 200,
        "{heap:?}"
    );
}
