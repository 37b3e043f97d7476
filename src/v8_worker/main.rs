//! The program that runs JavaScript and WebAssembly: it loads code and answers calls, one after the other, until its
//! connection ends. It runs inside the sandbox, and the code that it runs may take it over.

mod code;
mod codes;
mod connection;
mod timer;

use std::process::ExitCode;

use roma_udf::Connection;
use roma_v8_protocol::to_worker::Body;
use roma_v8_protocol::{Call, Cause, Ended, Load, Loaded, from_worker};
use roma_v8_shim::{Failure, Inputs, Output};

use code::Code;
use codes::Codes;
use connection::Shared;
use timer::Timer;

/// V8's own threads would have to share the limits of the process, and a fork would lose them.
const FLAGS: &[&str] = &["--single-threaded", "--no-wasm-lazy-compilation"];

fn main() -> ExitCode {
    roma_udf::run(|mut connection: Connection| {
        roma_v8_shim::start(FLAGS);
        connection.ready()?;
        Worker::new(Shared::new(connection)).serve()
    })
}

struct Worker {
    connection: Shared,
    codes: Codes,
    timer: Timer,
}

impl Worker {
    fn new(connection: Shared) -> Self {
        Self {
            connection,
            codes: Codes::default(),
            timer: Timer::start(),
        }
    }

    fn serve(mut self) -> Result<(), roma_udf::Error> {
        loop {
            match self.connection.receive()?.body {
                Some(Body::Load(load)) => self.load(&load)?,
                Some(Body::Call(call)) => self.call(&call)?,
                // Answers come only while a call waits for one.
                Some(Body::Answer(_)) | None => return Ok(()),
            }
        }
    }

    fn load(&mut self, load: &Load) -> Result<(), roma_udf::Error> {
        let (cause, text) = match Code::load(load, &self.connection, &self.timer) {
            Ok(code) => {
                self.codes.insert(load.code, code);
                (Cause::None, String::new())
            }
            Err(failure) => told(&failure),
        };
        let cause = cause.into();
        self.connection
            .send(from_worker::Body::Loaded(Loaded { cause, text }))
    }

    fn call(&mut self, call: &Call) -> Result<(), roma_udf::Error> {
        let Some(code) = self.codes.get(call.code) else {
            return self.connection.send(from_worker::Body::Ended(Ended {
                cause: Cause::NotLoaded.into(),
                ..Ended::default()
            }));
        };
        let ended = answer(code, call, &self.timer);
        self.connection.send(from_worker::Body::Ended(ended))?;
        // After the answer, so that nobody waits for it.
        code.prepare(&self.timer);
        Ok(())
    }
}

fn answer(code: &mut Code, call: &Call, timer: &Timer) -> Ended {
    let texts: Result<Vec<&str>, _> = call.inputs.iter().map(|i| str::from_utf8(i)).collect();
    let result = match (&call.inputs[..], texts) {
        ([bytes], _) if call.as_bytes => code.call(call, Inputs::Bytes(bytes), timer),
        (_, Ok(texts)) => code.call(call, Inputs::Json(&texts), timer),
        (_, Err(error)) => Err(Failure::InputNotJson(error.to_string())),
    };
    let heap = code.heap();
    match result {
        Ok(output) => {
            let (kind, bytes) = match output {
                Output::Json(json) => (roma_v8_protocol::Kind::Json, json.into_bytes()),
                Output::Bytes(bytes) => (roma_v8_protocol::Kind::Bytes, bytes),
            };
            Ended {
                kind: kind.into(),
                bytes,
                heap,
                ..Ended::default()
            }
        }
        Err(failure) => {
            let (cause, text) = told(&failure);
            Ended {
                cause: cause.into(),
                text,
                heap,
                ..Ended::default()
            }
        }
    }
}

/// Returns a failure as the engine is told of it.
fn told(failure: &Failure) -> (Cause, String) {
    let (cause, text) = match failure {
        Failure::NotCompiled(text) => (Cause::NotCompiled, text.as_str()),
        Failure::Terminated => (Cause::Deadline, ""),
        Failure::OutOfMemory => (Cause::OutOfMemory, ""),
        Failure::NeverSettles => (Cause::NeverSettles, ""),
        Failure::NoHandler => (Cause::NoHandler, ""),
        Failure::InputNotJson(text) => (Cause::InputNotJson, text.as_str()),
        Failure::NoResult(text) => (Cause::NoResult, text.as_str()),
        Failure::Threw(text) | Failure::NoSnapshot(text) => (Cause::Threw, text.as_str()),
        _ => (Cause::Threw, ""),
    };
    (cause, text.to_owned())
}
