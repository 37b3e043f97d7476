//! One UDF, one request, one response.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use prost::encoding::{decode_varint, encode_varint};

/// What a UDF gave, and when.
pub struct Answer {
    /// The response's bytes.
    pub response: Vec<u8>,
    /// From the start of the process until it was ready.
    pub start: Duration,
    /// From the request until the response was there and the process gone.
    pub run: Duration,
}

/// Starts a UDF and asks it once.
pub fn ask(udf: &Path, request: &[u8]) -> anyhow::Result<Answer> {
    let (mut caller, udf_end) = UnixStream::pair()?;
    let began = Instant::now();
    // The shell puts the socket where UDFs have it, on descriptor 3, and becomes the UDF.
    let mut child = Command::new("/bin/sh")
        .args(["-c", "exec \"$0\" 3 3<&0 </dev/null"])
        .arg(udf)
        .stdin(OwnedFd::from(udf_end))
        .stdout(Stdio::null())
        .spawn()
        .context("cannot start a process")?;
    let mut ready = [0];
    caller
        .read_exact(&mut ready)
        .with_context(|| format!("{} did not become ready", udf.display()))?;
    let start = began.elapsed();
    let asked = Instant::now();
    let response = exchange(&mut caller, request)?;
    let status = child.wait()?;
    ensure!(status.success(), "{} ended with {status}", udf.display());
    Ok(Answer {
        response,
        start,
        run: asked.elapsed(),
    })
}

fn exchange(caller: &mut UnixStream, request: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut framed = Vec::with_capacity(request.len() + 10);
    encode_varint(request.len() as u64, &mut framed);
    framed.extend_from_slice(request);
    caller.write_all(&framed)?;
    let mut answered = Vec::new();
    caller.read_to_end(&mut answered)?;
    let mut rest = answered.as_slice();
    let length = decode_varint(&mut rest).context("there is no response")?;
    ensure!(rest.len() as u64 == length, "the response is not whole");
    Ok(rest.to_vec())
}
