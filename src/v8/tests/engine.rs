//! The engine in its sandboxes: what the documentation shows, and what code does wrong.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use roma_v8::{
    Cause, CodeObject, Error, ExecuteOptions, Fault, GrpcCode, HostCallError, HostValue,
    Invocation, Limits, Line, Metadata, Mode, Platform, ScriptError, Service, ServiceBuilder,
    Severity,
};

/// Long enough for any machine: these tests bound hangs, never speed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a test in a mode and checks that it leaves no files.
fn run<F: Future<Output = ()>>(mode: Mode, test: impl FnOnce(ServiceBuilder) -> F) {
    let run_dir = tempfile::tempdir().unwrap();
    let builder = Service::builder()
        .mode(mode)
        .run_dir(run_dir.path())
        .run_workers(program("ROMA_RUN_WORKERS"))
        .v8_worker(program("ROMA_V8_WORKER"))
        .v8_runtime(libraries())
        .obey_environment(false)
        .workers(2);
    let builder = match mode.is_gvisor() {
        true => builder
            .sandboxes(1)
            .platform(Platform::Systrap)
            .runsc(program("ROMA_RUNSC")),
        false => builder,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let test = tokio::time::timeout(PATIENCE * 2, test(builder));
        test.await.expect("the test hangs");
    });
    drop(runtime);
    assert_eq!(run_dir.path().read_dir().unwrap().count(), 0, "left files");
}

/// A program that the build made for these tests.
fn program(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable)
        .unwrap_or_else(|| panic!("{variable} must name what the tests need"));
    std::path::absolute(path).unwrap()
}

/// The folder with V8's libraries. Bazel gives links to them, which lead nowhere inside the sandbox.
fn libraries() -> PathBuf {
    static COPY: Mutex<Option<PathBuf>> = Mutex::new(None);
    let mut copy = COPY.lock().unwrap();
    let folder = copy.get_or_insert_with(|| {
        let folder = tempfile::tempdir().unwrap().keep();
        for file in std::env::var("ROMA_V8_RUNTIME").unwrap().split_whitespace() {
            let file = std::path::absolute(file).unwrap();
            let name = file.file_name().unwrap();
            std::fs::copy(&file, folder.join(name)).unwrap();
        }
        folder
    });
    folder.clone()
}

fn patient() -> ExecuteOptions {
    ExecuteOptions {
        queue_timeout: PATIENCE,
        deadline: PATIENCE,
        ..ExecuteOptions::default()
    }
}

fn within(millis: u64) -> ExecuteOptions {
    ExecuteOptions {
        deadline: Duration::from_millis(millis),
        ..patient()
    }
}

async fn ask(service: &Service, invocation: Invocation) -> Result<String, Error> {
    let answer = service.execute(invocation, patient()).await?;
    Ok(String::from_utf8(answer.into()).unwrap())
}

/// The failure of the code in an error.
fn script_error(error: &Error) -> ScriptError {
    error
        .engine_failure::<ScriptError>()
        .unwrap_or_else(|| panic!("{error:?}"))
        .clone()
}

/// Makes a test in each mode.
macro_rules! in_both_modes {
    ($(async fn $name:ident($builder:ident: ServiceBuilder) $body:block)*) => {$(
        mod $name {
            use super::*;

            async fn test($builder: ServiceBuilder) $body

            #[test]
            fn minimal() { run(Mode::Minimal, test) }
            #[test]
            fn gvisor() { run(Mode::Gvisor, test) }
        }
    )*};
}

in_both_modes! {
    async fn the_documented_example_works(builder: ServiceBuilder) {
        let cool = |call: roma_v8::ScriptCall| async move {
            match call.argument {
                HostValue::Text(text) => Ok(HostValue::Text(text + " String from Rust")),
                _ => Err(HostCallError::new(GrpcCode::InvalidArgument, "a string is wanted")),
            }
        };
        let service = builder.host_function("cool_function", cool).start().await.unwrap();
        let code = "function Handler(input) { return 'Hello world! ' + JSON.stringify(input) }
                    function Cool(input) { return cool_function(input) }";
        service.load(CodeObject::script("v1", code)).await.unwrap();
        let hello = || Invocation::new("v1", "Handler").input(r#""Foobar""#);
        assert_eq!(ask(&service, hello()).await.unwrap(), r#""Hello world! \"Foobar\"""#);
        let cool = Invocation::new("v1", "Cool").input(r#""Hi:""#);
        assert_eq!(ask(&service, cool).await.unwrap(), r#""Hi: String from Rust""#);
        let batch: Vec<_> = (0..5).map(|_| service.execute(hello(), patient())).collect();
        for one in batch {
            assert_eq!(one.await.unwrap(), r#""Hello world! \"Foobar\"""#);
        }
        service.shutdown().await;
        let late = ask(&service, hello()).await.unwrap_err();
        assert!(matches!(late, Error::ShutDown), "{late:?}");
    }

    async fn every_worker_has_every_version_and_a_version_is_replaced(builder: ServiceBuilder) {
        let service = builder.start().await.unwrap();
        for version in 0..8 {
            let code = format!("const f = () => {version}");
            service.load(CodeObject::script(version.to_string(), code)).await.unwrap();
        }
        // More than a worker keeps at once.
        for _ in 0..2 {
            let asked: Vec<_> = (0..16)
                .map(|i| (i % 8, service.execute(Invocation::new((i % 8).to_string(), "f"), patient())))
                .map(|(version, execution)| tokio::spawn(async move { (version, execution.await.unwrap()) }))
                .collect();
            for one in asked {
                let (version, answer) = one.await.unwrap();
                assert_eq!(answer, version.to_string());
            }
        }
        service.load(CodeObject::script("3", "const f = () => 'new'")).await.unwrap();
        for _ in 0..8 {
            assert_eq!(ask(&service, Invocation::new("3", "f")).await.unwrap(), r#""new""#);
        }
        service.load(CodeObject::script("3", "nonsense(")).await.unwrap_err();
        assert_eq!(ask(&service, Invocation::new("3", "f")).await.unwrap(), r#""new""#);
        assert!(service.delete("3") && !service.delete("3"));
        let error = ask(&service, Invocation::new("3", "f")).await.unwrap_err();
        assert_eq!(script_error(&error).cause, Cause::NotLoaded);
        assert_eq!(error.fault(), Fault::Caller);
        service.shutdown().await;
    }

    async fn each_failure_has_its_cause_and_the_next_call_works(builder: ServiceBuilder) {
        let limits = Limits { heap: Some(32 << 20), array_buffers: 16 << 20, ..Limits::default() };
        let service = builder.limits(limits).start().await.unwrap();
        let code = "function f() { return 1 }
            function throws() { throw new Error('why') }
            function never() { return new Promise(() => {}) }
            function cycle() { const a = {}; a.a = a; return a }
            function rejects() { Promise.reject(new Error('left')); return 1 }
            function fills() { const all = []; for (;;) all.push(new Array(1000).fill(0)) }
            function loops() { for (;;) try { for (;;); } finally { continue } }";
        service.load(CodeObject::script("v", code)).await.unwrap();
        for (handler, cause, words) in [
            ("throws", Cause::Threw, "Uncaught Error: why"),
            ("never", Cause::NeverSettles, ""),
            ("cycle", Cause::NoResult, "circular"),
            ("rejects", Cause::Threw, "left"),
            ("fills", Cause::OutOfMemory, ""),
            ("missing", Cause::NoHandler, ""),
        ] {
            let error = ask(&service, Invocation::new("v", handler)).await.unwrap_err();
            let failure = script_error(&error);
            assert_eq!(failure.cause, cause, "{handler}: {error:?}");
            assert!(failure.text.contains(words), "{handler}: {error:?}");
            assert_eq!(error.fault(), Fault::Udf);
            assert_eq!(ask(&service, Invocation::new("v", "f")).await.unwrap(), "1");
        }
        let error = ask(&service, Invocation::new("v", "f").input("{")).await.unwrap_err();
        assert_eq!(script_error(&error).cause, Cause::InputNotJson);
        for _ in 0..3 {
            let error = service.execute(Invocation::new("v", "loops"), within(200)).await.unwrap_err();
            assert!(matches!(error, Error::Deadline { .. }), "{error:?}");
        }
        let error = service.execute(Invocation::new("v", "f"), within(0)).await.unwrap_err();
        assert!(matches!(error, Error::Deadline { .. }), "{error:?}");
        assert_eq!(error.fault(), Fault::Caller, "no code was asked");
        assert_eq!(ask(&service, Invocation::new("v", "f")).await.unwrap(), "1");
        for (code, cause) in [
            ("function (", Cause::NotCompiled),
            ("throw new Error('while loading')", Cause::Threw),
            ("cool_function('x')", Cause::Threw),
        ] {
            let error = service.load(CodeObject::script("w", code)).await.unwrap_err();
            assert_eq!(script_error(&error).cause, cause, "{error:?}");
        }
        service.shutdown().await;
    }

    async fn code_that_never_ends_while_it_is_loaded_is_ended_and_others_go_on(builder: ServiceBuilder) {
        let service = builder.start().await.unwrap();
        service.load(CodeObject::script("v", "const f = () => 1")).await.unwrap();
        let endless = CodeObject::script("w", "for (;;);");
        let (error, answer) =
            tokio::join!(service.load(endless), ask(&service, Invocation::new("v", "f")));
        assert!(matches!(error, Err(Error::Deadline { .. })), "{error:?}");
        assert_eq!(answer.unwrap(), "1");
        for _ in 0..4 {
            assert_eq!(ask(&service, Invocation::new("v", "f")).await.unwrap(), "1");
        }
        service.shutdown().await;
    }

    async fn no_request_finds_what_another_left(builder: ServiceBuilder) {
        let service = builder.workers(1).start().await.unwrap();
        let code = "let count = 0;
            function f() { count += 1; globalThis.left = (globalThis.left ?? 0) + 1;
                Array.prototype.left = (Array.prototype.left ?? 0) + 1; Math.left = (Math.left ?? 0) + 1;
                return [count, globalThis.left, [].left, Math.left] }";
        service.load(CodeObject::script("v", code)).await.unwrap();
        for _ in 0..5 {
            assert_eq!(ask(&service, Invocation::new("v", "f")).await.unwrap(), "[1,1,1,1]");
        }
        service.shutdown().await;
    }

    async fn payloads_of_any_size_and_text_go_in_and_out(builder: ServiceBuilder) {
        let service = builder.start().await.unwrap();
        let code = "const f = x => x; const g = bytes => bytes";
        service.load(CodeObject::script("v", code)).await.unwrap();
        for size in [0, 1, 1000, 100_000, 5_000_000] {
            let text = format!("\"{}\"", "ä€😀z".repeat(size / 10));
            let answer = ask(&service, Invocation::new("v", "f").input(text.clone())).await.unwrap();
            assert!(answer == text, "{size}");
            let bytes: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
            let asked = Invocation::new("v", "g").bytes(bytes.clone());
            let answer = service.execute(asked, patient()).await.unwrap();
            assert!(answer == bytes, "{size}");
        }
        let large = Invocation::new("v", "g").bytes(vec![0; (64 << 20) + 1]);
        let error = service.execute(large, patient()).await.unwrap_err();
        assert!(matches!(error, Error::RequestTooLarge { .. }), "{error:?}");
        service.shutdown().await;
    }

    async fn modules_are_handlers_alone_and_bytes_for_scripts(builder: ServiceBuilder) {
        // (module (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add))
        const ADD: &[u8] = &[
            0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 7, 1, 0x60, 2, 0x7f, 0x7f, 1, 0x7f, 3, 2, 1, 0, 7, 7, 1,
            3, 0x61, 0x64, 0x64, 0, 0, 10, 9, 1, 7, 0, 0x20, 0, 0x20, 1, 0x6a, 0x0b,
        ];
        let service = builder.start().await.unwrap();
        service.load(CodeObject::module("alone", ADD)).await.unwrap();
        let script = "const module = new WebAssembly.Module(wasm);
            const f = (a, b) => new WebAssembly.Instance(module).exports.add(a, b) * 10";
        let both = CodeObject::script("both", script).with_wasm("wasm", ADD);
        service.load(both).await.unwrap();
        for _ in 0..4 {
            let alone = Invocation::new("alone", "add").input("1").input("2");
            assert_eq!(ask(&service, alone).await.unwrap(), "3");
            let both = Invocation::new("both", "f").input("1").input("2");
            assert_eq!(ask(&service, both).await.unwrap(), "30");
        }
        let damaged = CodeObject::module("damaged", &ADD[..20]);
        let error = service.load(damaged).await.unwrap_err();
        assert_eq!(script_error(&error).cause, Cause::NotCompiled);
        service.shutdown().await;
    }

    async fn host_functions_take_and_return_every_kind_of_value(builder: ServiceBuilder) {
        let echo = |call: roma_v8::ScriptCall| async move { Ok(call.argument) };
        let tenant = |call: roma_v8::ScriptCall| async move {
            let tenant = call.metadata.get::<&str>().copied().unwrap_or("nobody");
            Ok(HostValue::Json(format!(r#"{{"tenant":"{tenant}"}}"#)))
        };
        let refuse = |_| async { Err(HostCallError::new(GrpcCode::NotFound, "not here")) };
        let bytes = |_| async { Ok(HostValue::Bytes(Bytes::from_static(&[1, 2, 255]))) };
        let service = builder
            .host_function("echo", echo)
            .host_function("a.b.tenant", tenant)
            .host_function("refuse", refuse)
            .host_function("bytes", bytes)
            .start()
            .await
            .unwrap();
        let code = "const f = () => [echo('text'), echo([1, {a: 'ä'}]), echo({m: null}), echo(7), echo(), echo(1, 2),
                Array.from(echo(new Uint8Array([9, 8]))), Array.from(bytes()), a.b.tenant()];
            const g = () => { try { refuse() } catch (e) { return e.message } }
            const h = () => refuse()";
        service.load(CodeObject::script("v", code)).await.unwrap();
        let options = ExecuteOptions { metadata: Metadata::new("acme"), ..patient() };
        let answer = service.execute(Invocation::new("v", "f"), options).await.unwrap();
        let expected = r#"["text",[1,{"a":"ä"}],{"m":null},7,[],[1,2],[9,8],[1,2,255],{"tenant":"acme"}]"#;
        assert_eq!(answer, expected);
        let caught = ask(&service, Invocation::new("v", "g")).await.unwrap();
        assert!(caught.contains("refuse") && caught.contains("not here"), "{caught}");
        let error = ask(&service, Invocation::new("v", "h")).await.unwrap_err();
        assert!(script_error(&error).text.contains("not here"), "{error:?}");
        service.shutdown().await;
    }

    async fn output_reaches_the_host_with_its_severity_and_no_more_than_wanted(builder: ServiceBuilder) {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        let keep = move |line: Line| kept.lock().unwrap().push((line.severity, line.text));
        let service = builder.on_line(keep).start().await.unwrap();
        let code = "console.log('while loading');
            const f = () => { console.log('a', 1, {b: 2}); console.warn('ä'); console.error(new Error('bad')); }";
        service.load(CodeObject::script("v", code)).await.unwrap();
        ask(&service, Invocation::new("v", "f")).await.unwrap();
        let said = std::mem::take(&mut *lines.lock().unwrap());
        assert_eq!(said[0], (Severity::Info, r#"a 1 {"b":2}"#.to_owned()));
        assert_eq!(said[1], (Severity::Warning, "ä".to_owned()));
        assert!(said[2].0 == Severity::Error && said[2].1.contains("Error: bad"), "{said:?}");
        assert_eq!(said.len(), 3);
        ask(&service, Invocation::new("v", "f").least_severity(Severity::Error)).await.unwrap();
        assert_eq!(lines.lock().unwrap().len(), 1);
        service.shutdown().await;
    }

    async fn cancelling_ends_a_call_and_a_dead_worker_is_replaced(builder: ServiceBuilder) {
        let service = builder.workers(1).start().await.unwrap();
        let code = "function f() { return 1 } function loops() { for (;;); }";
        service.load(CodeObject::script("v", code)).await.unwrap();
        for _ in 0..2 {
            let loops = service.execute(Invocation::new("v", "loops"), patient());
            let canceller = loops.canceller();
            let loops = tokio::spawn(loops);
            tokio::time::sleep(Duration::from_millis(50)).await;
            canceller.cancel();
            let error = loops.await.unwrap().unwrap_err();
            assert!(matches!(error, Error::Cancelled), "{error:?}");
            assert_eq!(ask(&service, Invocation::new("v", "f")).await.unwrap(), "1");
        }
        service.shutdown().await;
    }
}
