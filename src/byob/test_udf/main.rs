//! A UDF that misbehaves on demand. Its third argument selects what it does before it is ready, the text
//! of a request what it does with that request.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::FromRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net;
use std::process::{Command, Stdio, abort, exit};
use std::thread::sleep;
use std::time::{Duration, Instant};

const FOREVER: Duration = Duration::from_secs(1 << 20);
/// Any byte says that a UDF is ready, so this is an unusual one.
const READY: [u8; 1] = [7];
/// Clears a terminal in two ways, sets its title, and turns the direction of what follows.
const ESCAPES: &str = "before \x1b[2J\u{9b}2J\x1b]0;title\x07\u{202e} after";

fn main() -> io::Result<()> {
    let mut data = connection(3);
    match behaviour().as_str() {
        "crash" => {
            eprintln!("no model to be found");
            abort();
        }
        "crash with escapes" => {
            println!("{ESCAPES}");
            exit(3);
        }
        "exit" => exit(3),
        "never ready" => {
            println!("loading the model ...");
            sleep(FOREVER);
        }
        // The older protocol has no readiness byte.
        "silent" => {}
        "slow" => {
            sleep(Duration::from_millis(300));
            data.write_all(&READY)?;
        }
        "die idle" => {
            data.write_all(&READY)?;
            sleep(Duration::from_millis(20));
            exit(4);
        }
        // In one piece, so that whoever receives the first byte can see the rest.
        "answer ahead" => {
            data.write_all(&[READY[0], 2, b'o', b'k'])?;
            sleep(FOREVER);
        }
        "half a read" => {
            data.write_all(&READY)?;
            data.read_exact(&mut [0; 3])?;
            exit(5);
        }
        "half a read and hang" => {
            data.write_all(&READY)?;
            data.read_exact(&mut [0; 3])?;
            sleep(FOREVER);
        }
        _ => data.write_all(&READY)?,
    }
    let request = read_frame(&mut data)?;
    serve(&mut data, &request)
}

/// The third argument, or what a file says that the host can change at any time.
fn behaviour() -> String {
    match std::env::args().nth(2).as_deref() {
        Some("from file") => std::fs::read_to_string("/behaviour/current").unwrap_or_default(),
        other => other.unwrap_or_default().to_owned(),
    }
}

fn serve(data: &mut File, request: &[u8]) -> io::Result<()> {
    let text = String::from_utf8_lossy(request);
    match text.split_once(' ').unwrap_or((&text, "")) {
        ("truncated", _) => data.write_all(b"\x10half of it"),
        ("truncated-length", _) => data.write_all(b"\xff"),
        ("trailing", _) => data.write_all(b"\x02okand more"),
        ("malformed", _) => data.write_all(&[0xff; 11]),
        ("overlong", _) => data.write_all(b"\x82\x00ok"),
        ("oversize", _) => data.write_all(b"\xff\xff\xff\xff\xff\x0f"),
        ("drip", _) => drip(data),
        ("stall", _) => stall(data),
        ("mute", _) => mute(data),
        ("linger", _) => linger(data),
        ("daemon", _) => daemon(data),
        ("exit", code) => exit(code.parse().unwrap_or(1)),
        ("chatty", _) => chatty(data),
        ("escapes", _) => print_escapes(data),
        ("escapes-and-exit", _) => {
            println!("{ESCAPES}");
            exit(6)
        }
        ("pipe", _) => respond_if(data, starts_a_program_with_a_pipe()),
        ("bind", _) => respond_if(data, !listeners().is_empty()),
        ("descriptors", _) => respond_if(data, opens_many_descriptors()),
        ("environment", _) => respond(data, environment()),
        ("arguments", _) => respond(data, arguments()),
        ("burn", _) => burn(),
        ("hoard", _) => hoard(),
        ("tmp", text) => respond(data, use_tmp(text)),
        ("read", path) => respond(data, read_file(path)),
        ("listen", _) => respond(data, try_to_meet(&mut listeners())),
        ("reach", _) => respond(
            data,
            try_to_meet(&mut [reach_by_network as fn() -> bool, reach_by_name]),
        ),
        ("call", rest) => respond(data, call(rest)?),
        (_, _) => respond(data, request),
    }
}

/// Tries for a second to connect to another process in each of these ways.
fn try_to_meet<F: FnMut() -> bool>(ways: &mut [F]) -> &'static str {
    let until = Instant::now() + Duration::from_secs(1);
    while Instant::now() < until {
        if ways.iter_mut().any(|way| way()) {
            return "met";
        }
        sleep(Duration::from_millis(10));
    }
    "alone"
}

const ADDRESS: &str = "127.0.0.1:7777";

fn socket_name() -> io::Result<net::SocketAddr> {
    net::SocketAddr::from_abstract_name("roma-meeting-place")
}

fn listeners() -> Vec<Box<dyn FnMut() -> bool>> {
    let mut listeners: Vec<Box<dyn FnMut() -> bool>> = Vec::new();
    if let Ok(by_network) = TcpListener::bind(ADDRESS) {
        let _ = by_network.set_nonblocking(true);
        listeners.push(Box::new(move || by_network.accept().is_ok()));
    }
    if let Ok(by_name) = socket_name().and_then(|name| net::UnixListener::bind_addr(&name)) {
        let _ = by_name.set_nonblocking(true);
        listeners.push(Box::new(move || by_name.accept().is_ok()));
    }
    listeners
}

fn reach_by_network() -> bool {
    TcpStream::connect(ADDRESS).is_ok()
}

fn reach_by_name() -> bool {
    socket_name().is_ok_and(|name| net::UnixStream::connect_addr(&name).is_ok())
}

/// Writes a response a byte at a time and never finishes it.
fn drip(data: &mut File) -> io::Result<()> {
    data.write_all(b"\xff\x7f")?;
    loop {
        data.write_all(b".")?;
        sleep(Duration::from_millis(20));
    }
}

/// Writes half a response and hangs.
fn stall(data: &mut File) -> io::Result<()> {
    data.write_all(b"\x10half of it")?;
    sleep(FOREVER);
    Ok(())
}

/// Closes its connection and stays alive.
fn mute(data: &mut File) -> io::Result<()> {
    drop(std::mem::replace(data, File::open("/udf")?));
    sleep(FOREVER);
    Ok(())
}

/// Responds and stays alive.
fn linger(data: &mut File) -> io::Result<()> {
    respond(data, "bye")?;
    sleep(FOREVER);
    Ok(())
}

/// Prints, and responds.
fn chatty(data: &mut File) -> io::Result<()> {
    println!("to whom it may concern");
    respond(data, "said")
}

/// Prints what a terminal would obey, and responds with it.
fn print_escapes(data: &mut File) -> io::Result<()> {
    println!("{ESCAPES}");
    respond(data, ESCAPES)
}

/// Needs system calls that only the strict filter level denies.
fn starts_a_program_with_a_pipe() -> bool {
    let mut program = Command::new("/udf");
    program.args(["3", "exit"]).stdin(Stdio::piped());
    program.status().is_ok()
}

fn opens_many_descriptors() -> bool {
    let files: Vec<_> = (0..32).map(|_| File::open("/udf")).collect();
    files.iter().all(Result::is_ok)
}

/// Leaves a process behind that holds all descriptors open.
fn daemon(data: &mut File) -> io::Result<()> {
    Command::new("/udf").arg("3").arg("never ready").spawn()?;
    respond(data, "left")
}

fn burn() -> io::Result<()> {
    let mut number = 1_u64;
    loop {
        number = std::hint::black_box(number.wrapping_mul(3));
    }
}

fn hoard() -> io::Result<()> {
    let mut hoard = Vec::new();
    loop {
        hoard.push(vec![1_u8; 1 << 20]);
    }
}

fn environment() -> String {
    std::env::vars()
        .map(|(name, value)| format!("{name}={value}\n"))
        .collect()
}

fn arguments() -> String {
    std::env::args().collect::<Vec<_>>().join("\n")
}

/// Reads the file that an earlier request left, and writes it anew.
fn use_tmp(text: &str) -> String {
    let before = std::fs::read_to_string("/tmp/left");
    match (before, std::fs::write("/tmp/left", text)) {
        (Ok(found), _) => format!("found {found}"),
        (Err(_), Ok(())) => "wrote".to_owned(),
        (Err(_), Err(error)) => format!("cannot write: {error}"),
    }
}

fn read_file(path: &str) -> String {
    match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => format!("error: {error}"),
    }
}

/// Calls a host function: `call NAME ARGUMENT`.
fn call(rest: &str) -> io::Result<String> {
    use prost::bytes::BufMut;
    use prost::encoding::{bytes, string, uint64};
    let (name, argument) = rest.split_once(' ').unwrap_or((rest, ""));
    let mut message = Vec::new();
    uint64::encode(1, &1, &mut message);
    string::encode(2, &name.to_owned(), &mut message);
    bytes::encode(3, &argument.as_bytes().to_vec(), &mut message);
    let mut frame = Vec::new();
    prost::encoding::encode_varint(message.len() as u64, &mut frame);
    frame.put_slice(&message);
    let mut calls = connection(4);
    calls.write_all(&frame)?;
    let answer = read_frame(&mut calls)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn respond(data: &mut File, response: impl AsRef<[u8]>) -> io::Result<()> {
    let mut frame = Vec::new();
    prost::encoding::encode_varint(response.as_ref().len() as u64, &mut frame);
    frame.extend_from_slice(response.as_ref());
    data.write_all(&frame)
}

fn respond_if(data: &mut File, works: bool) -> io::Result<()> {
    match works {
        true => respond(data, "works"),
        false => exit(8),
    }
}

fn read_frame(from: &mut File) -> io::Result<Vec<u8>> {
    let mut length = Vec::new();
    let mut byte = [0x80];
    while byte[0] & 0x80 != 0 {
        from.read_exact(&mut byte)?;
        length.push(byte[0]);
    }
    let length = prost::decode_length_delimiter(&length[..]).map_err(io::Error::other)?;
    let mut message = vec![0; length];
    from.read_exact(&mut message)?;
    Ok(message)
}

#[allow(unsafe_code)]
fn connection(descriptor: i32) -> File {
    // SAFETY: the parent of a UDF opens this descriptor for it, and each is taken once.
    unsafe { File::from_raw_fd(descriptor) }
}
