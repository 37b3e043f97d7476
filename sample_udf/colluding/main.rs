//! A UDF whose requests try to tell each other something, and to starve their neighbours.
//!
//! The request `channels` asks the host for commands until there is none, and `storm NAME` does one thing
//! until it is ended.

mod budgets;
mod channels;
mod child;
mod counters;
mod descriptors;
mod files;
mod groups;
mod storms;
mod sys;

use std::process::ExitCode;

use roma_udf::{Connection, Error, Host};

use channels::Channels;

fn main() -> ExitCode {
    roma_udf::run(serve)
}

fn serve(mut connection: Connection) -> Result<(), Error> {
    // Before another socket can have its number.
    let host = Host::connect();
    connection.ready()?;
    let request = connection.read_request_bytes()?;
    let request = String::from_utf8_lossy(&request);
    match request.split_once(' ') {
        Some(("storm", name)) => storms::rage(name, &connection),
        _ => obey(&mut host.map_err(Error::failed)?)?,
    }
    connection.write_response_bytes(b"done")
}

/// Does what the host says, and tells it the result with the next call.
fn obey(host: &mut Host) -> Result<(), Error> {
    sys::block_signals();
    budgets::lower_own_limits();
    let mut channels = Channels::default();
    let mut result = String::new();
    loop {
        let command = host.call_bytes("next", result).map_err(Error::failed)?;
        let command = String::from_utf8_lossy(&command);
        if command.is_empty() {
            // Nothing is given back: the end of the process does that.
            std::mem::forget(channels);
            return Ok(());
        }
        result = channels.obey(&command);
    }
}
