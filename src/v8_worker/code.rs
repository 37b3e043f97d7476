//! One piece of code: how it is loaded, and its calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use roma_v8_protocol::{Call, HostCall, Line, Load, from_worker, to_worker};
use roma_v8_shim::{
    Failure, Host, Inputs, Isolate, Kind, Limits, Output, Severity, Snapshot, Value,
};

use crate::connection::Shared;
use crate::timer::Timer;

/// Makes what scripts find of the host: a function that takes the names of host functions.
const PRELUDE: &str = include_str!("prelude.js");
/// Makes handlers of the exports of a module that comes without a script.
const MODULE_ALONE: &str = include_str!("module_alone.js");
/// How long the context of the next call may take to be made ahead. A failure there is the next call's.
const PREPARATION: Duration = Duration::from_secs(5);

/// One piece of code.
pub(crate) struct Code {
    isolate: Isolate,
    caller: Arc<Caller>,
}

/// What the functions of scripts have to know of the call that runs.
#[derive(Default)]
struct Caller {
    /// While this is false, there is nobody to call: code is loaded, or a context is made ahead.
    is_calling: AtomicBool,
    least_severity: AtomicU32,
}

impl Code {
    /// Loads code. A script's state after the load is kept as a snapshot, if it can be; else each context runs
    /// the script again.
    pub(crate) fn load(load: &Load, connection: &Shared, timer: &Timer) -> Result<Self, Failure> {
        let limits = Limits {
            heap_initial: 0,
            heap_maximum: usize::try_from(load.heap).unwrap_or(usize::MAX),
            array_buffers: usize::try_from(load.array_buffers).unwrap_or(usize::MAX),
        };
        let prelude = prelude(&load.functions);
        let snapshot = match load.wasm.is_empty() {
            true => match Snapshot::of(&prelude, &load.script, limits) {
                Err(failure @ Failure::NotCompiled(_)) => return Err(failure),
                snapshot => snapshot.ok(),
            },
            false => None,
        };
        let caller = Arc::<Caller>::default();
        let host = Connected {
            connection: connection.clone(),
            caller: Arc::clone(&caller),
        };
        let has_snapshot = snapshot.is_some();
        let mut isolate = Isolate::new(snapshot, limits, Box::new(host));
        if !has_snapshot {
            isolate.add_script("roma.js", &prelude)?;
            add_code(&mut isolate, load)?;
        }
        let mut code = Self { isolate, caller };
        let terminator = code.isolate.terminator();
        let limit = Duration::from_micros(load.deadline_micros);
        timer.within(limit, terminator, || code.isolate.prepare())?;
        Ok(code)
    }

    /// Calls a handler in a context that no call has had.
    pub(crate) fn call(
        &mut self,
        call: &Call,
        inputs: Inputs<'_>,
        timer: &Timer,
    ) -> Result<Output, Failure> {
        self.caller
            .least_severity
            .store(call.least_severity, Ordering::Relaxed);
        let limit = Duration::from_micros(call.deadline_micros);
        let terminator = self.isolate.terminator();
        self.caller.is_calling.store(true, Ordering::Relaxed);
        let result = timer.within(limit, terminator, || {
            self.isolate.call(&call.handler, inputs)
        });
        self.caller.is_calling.store(false, Ordering::Relaxed);
        result
    }

    /// Makes the context of the next call.
    pub(crate) fn prepare(&mut self, timer: &Timer) {
        let terminator = self.isolate.terminator();
        // The next call fails as this did.
        let _ = timer.within(PREPARATION, terminator, || self.isolate.prepare());
    }

    /// Returns how many bytes the heap and the array buffers have.
    pub(crate) fn heap(&self) -> u64 {
        let heap = self.isolate.heap();
        (heap.used + heap.array_buffers) as u64
    }
}

/// Returns the script that comes before the code.
fn prelude(functions: &[String]) -> String {
    let mut names = String::new();
    for name in functions {
        // Names have only letters that need no escape: the engine has checked them.
        names.push('"');
        names.push_str(name);
        names.push_str("\",");
    }
    format!("{PRELUDE}([{names}]);")
}

fn add_code(isolate: &mut Isolate, load: &Load) -> Result<(), Failure> {
    if load.script.is_empty() {
        isolate.add_module("romaModule", &load.wasm)?;
        return isolate.add_script("module.js", MODULE_ALONE);
    }
    if !load.wasm.is_empty() {
        isolate.add_bytes(&load.wasm_name, &load.wasm);
    }
    isolate.add_script("udf.js", &load.script)
}

/// The engine, for the functions of scripts.
struct Connected {
    connection: Shared,
    caller: Arc<Caller>,
}

impl Host for Connected {
    fn call(&mut self, name: &str, argument: Value) -> Result<Value, String> {
        if !self.caller.is_calling.load(Ordering::Relaxed) {
            return Err("ROMA: host functions cannot be called while code is loaded".to_owned());
        }
        let kind = match argument.kind {
            Kind::Text => roma_v8_protocol::Kind::Text,
            Kind::Bytes => roma_v8_protocol::Kind::Bytes,
            Kind::Json => roma_v8_protocol::Kind::Json,
        };
        let call = from_worker::Body::HostCall(HostCall {
            name: name.to_owned(),
            kind: kind.into(),
            bytes: argument.bytes,
        });
        let answer = self.connection.ask(call);
        let Ok(Some(to_worker::Body::Answer(answer))) = answer.map(|message| message.body) else {
            return Err("ROMA: the host does not answer".to_owned());
        };
        let kind = match answer.kind() {
            roma_v8_protocol::Kind::Text => Kind::Text,
            roma_v8_protocol::Kind::Bytes => Kind::Bytes,
            roma_v8_protocol::Kind::Json => Kind::Json,
        };
        let value = Value {
            kind,
            bytes: answer.bytes,
        };
        match answer.ok {
            true => Ok(value),
            false => Err(String::from_utf8_lossy(&value.bytes).into_owned()),
        }
    }

    fn log(&mut self, severity: Severity, line: &str) {
        let severity = match severity {
            Severity::Info => 0,
            Severity::Warning => 1,
            Severity::Error => 2,
        };
        let is_wanted = severity >= self.caller.least_severity.load(Ordering::Relaxed);
        if is_wanted && self.caller.is_calling.load(Ordering::Relaxed) {
            let text = line.to_owned();
            // A connection that is gone is noticed by what comes next.
            let _ = self
                .connection
                .send(from_worker::Body::Line(Line { severity, text }));
        }
    }
}
