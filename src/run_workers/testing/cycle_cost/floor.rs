//! The floor (`src/cli/floor`), in the same mode as `run_workers`.

use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use roma_sandbox::fdpass::{self, packet_pair};
use roma_sandbox::gate::Gate;

use crate::Options;
use crate::host::{Bundle, Mode, write_message};

/// Larger than the report of one loop.
const REPORT_BYTES: usize = 64 * 1024;

/// Returns the cycles per second of `loops` loops side by side.
pub fn measure(options: &Options, udf: &[u8], loops: u16) -> f64 {
    let (control, inside) = packet_pair().expect("a pair");
    let bundle = match options.mode {
        Mode::Direct => None,
        Mode::Gvisor(_) => Some(Bundle::new(&options.floor, "")),
    };
    let mut command = match (options.mode, &bundle) {
        (Mode::Gvisor(platform), Some(bundle)) => bundle.command(platform),
        _ => Command::new(&options.floor),
    };
    let mut process = command.stdin(Stdio::from(inside)).spawn().expect("started");
    drop(command);
    let (mut code, code_inside) = UnixStream::pair().expect("a pair");
    let millis = u32::try_from(options.time.as_millis()).expect("a shorter time");
    let mut order = loops.to_le_bytes().to_vec();
    order.extend(millis.to_le_bytes());
    order.push(0);
    fdpass::send(control.as_fd(), &order, &[code_inside.as_fd()]).expect("to send");
    drop(code_inside);
    code.write_all(&(udf.len() as u64).to_le_bytes())
        .and_then(|()| code.write_all(udf))
        .expect("to send the UDF");
    write_message(&mut code, crate::REQUEST.as_bytes());
    drop(code);
    let mut cycles = 0;
    for _ in 0..loops {
        let mut report = vec![0; REPORT_BYTES];
        let packet = fdpass::receive(control.as_fd(), &mut report, Gate::NONE).expect("a report");
        let count = report[..packet.bytes]
            .first_chunk()
            .expect("the floor to succeed");
        cycles += u64::from_le_bytes(*count);
    }
    drop(control);
    process.wait().expect("a child");
    cycles as f64 / options.time.as_secs_f64()
}
