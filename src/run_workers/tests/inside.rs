//! x
#[path = "../testing/host.rs"]
mod host;
use host::*;
use std::path::Path;

fn probe() -> Vec<u8> {
    std::fs::read(env!("CARGO_BIN_EXE_probe_udf")).unwrap()
}
fn go(place: Place) {
    let mut host = Host::start(place, Path::new(env!("CARGO_BIN_EXE_run_workers")));
    println!("{:?}", host.hello);
    let mut pool = host.load(&probe(), |_| {});
    println!("{:?}", pool.ready);
    for c in [
        "echo hi",
        "identity",
        "capabilities",
        "descriptors",
        "files",
        "arguments",
        "environment",
        "mask",
        "syscall 272 268435456",
        "write /x",
    ] {
        println!("{c}: {:?}", pool.ask(c));
    }
    println!("{:?}", host.end());
}
#[test]
fn direct() {
    go(Place::Direct)
}
#[test]
fn ptrace() {
    go(Place::Gvisor("ptrace"))
}
#[test]
fn systrap() {
    go(Place::Gvisor("systrap"))
}
