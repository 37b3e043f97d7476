//! Checks of a binary that do not run it.

use roma_protocol::control::MAX_BINARY_BYTES;
use roma_sandbox::elf::{self, Binary, Elf, Machine};

use crate::output::checks::Check;

/// The size from which a binary counts as large: each load copies all of it into the sandbox.
const LARGE: u64 = 64 << 20;

/// Checks the kind of program, whether this machine can run it, its libraries and its size.
pub fn look(file: &[u8], has_libraries: bool) -> Vec<Check> {
    let mut checks = match elf::inspect(file) {
        Err(error) => vec![
            Check::failed("format", error.to_string())
                .fix("give the program itself: a 64-bit little-endian ELF executable for Linux"),
        ],
        Ok(Binary::Script { interpreter }) => vec![
            script(&interpreter),
            needs(std::slice::from_ref(&interpreter), has_libraries),
        ],
        Ok(Binary::Elf(elf)) => vec![
            Check::ok("format", kind(file, &elf)),
            architecture(elf.machine, Machine::here()),
            libraries(&elf, has_libraries),
        ],
    };
    checks.push(size(file.len() as u64));
    checks
}

fn script(interpreter: &str) -> Check {
    Check::weak("format", format!("a script for {interpreter}"))
        .fix("a program of its own starts faster, and needs nothing else in the sandbox")
}

fn kind(file: &[u8], elf: &Elf) -> String {
    let linked = match elf.interpreter {
        Some(_) => "dynamic",
        None => "static",
    };
    // The ELF type: 3 is position-independent.
    match file.get(16) {
        Some(3) => format!("a {linked} ELF program, position-independent"),
        _ => format!("a {linked} ELF program, at a fixed address"),
    }
}

fn architecture(built_for: Machine, here: Machine) -> Check {
    let name = |machine| match machine {
        Machine::X86_64 => "x86_64".to_owned(),
        Machine::Aarch64 => "aarch64".to_owned(),
        Machine::Other(number) => format!("a machine with ELF number {number}"),
    };
    if built_for == here {
        return Check::ok("architecture", name(here));
    }
    let found = format!(
        "for {}, and this machine is {}",
        name(built_for),
        name(here)
    );
    Check::failed("architecture", found).fix(format!("build it for {}", name(here)))
}

fn libraries(elf: &Elf, has_libraries: bool) -> Check {
    let wanted: Vec<_> = elf.interpreter.iter().chain(&elf.needed).cloned().collect();
    match wanted.is_empty() {
        true => Check::ok("libraries", "none: it is linked statically"),
        false => needs(&wanted, has_libraries),
    }
}

fn needs(files: &[String], has_libraries: bool) -> Check {
    let found = format!("it needs {}", files.join(", "));
    match has_libraries {
        true => Check::weak("libraries", found).fix(link_statically()),
        false => Check::failed("libraries", found).fix(link_statically()),
    }
}

fn link_statically() -> String {
    format!(
        "link it statically. Rust: RUSTFLAGS='-C target-feature=+crt-static' and cargo build --target \
         {}-unknown-linux-gnu; C++: -static; Go: CGO_ENABLED=0. Or give it the libraries: --system-libraries here, \
         ServiceBuilder::libraries in the service",
        std::env::consts::ARCH
    )
}

fn size(bytes: u64) -> Check {
    let found = human(bytes);
    match bytes {
        0 => Check::failed("size", "the file is empty").fix("give the program itself"),
        LARGE..=MAX_BINARY_BYTES => Check::weak("size", found)
            .fix("strip it: each load sends all of it into the sandbox, whose memory holds it"),
        1..LARGE => Check::ok("size", found),
        _ => Check::failed("size", found).fix(format!(
            "strip it: more than {} is not loaded",
            human(MAX_BINARY_BYTES)
        )),
    }
}

/// Formats a size with its unit.
pub fn human(bytes: u64) -> String {
    let kib = bytes as f64 / 1024.0;
    match bytes {
        1 => "1 byte".to_owned(),
        0..1024 => format!("{bytes} bytes"),
        1024..0x10_0000 => format!("{kib:.1} KiB"),
        _ => format!("{:.1} MiB", kib / 1024.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::checks::Verdict;

    fn judged(file: &[u8], has_libraries: bool) -> Vec<(String, Verdict)> {
        let checks = look(file, has_libraries).into_iter();
        checks.map(|check| (check.name, check.verdict)).collect()
    }

    fn verdict(file: &[u8], name: &str) -> Option<Verdict> {
        let checks = judged(file, false);
        let mut found = checks.iter().filter(|check| check.0 == name);
        found.next().map(|check| check.1)
    }

    #[test]
    fn a_program_with_libraries_is_weak_with_them_and_failed_without() {
        let shell = std::fs::read("/bin/sh").unwrap();
        assert_eq!(judged(&shell, true)[2], ("libraries".into(), Verdict::Weak));
        assert_eq!(
            judged(&shell, false)[2],
            ("libraries".into(), Verdict::Failed)
        );
        let found = &look(&shell, false)[2].found;
        assert!(found.contains("libc.so"), "{found}");
    }

    #[test]
    fn a_file_that_is_not_a_program_is_reported() {
        assert_eq!(verdict(b"hello", "format"), Some(Verdict::Failed));
        assert_eq!(verdict(b"", "size"), Some(Verdict::Failed));
        let script = b"#!/usr/bin/python3\n";
        assert_eq!(verdict(script, "format"), Some(Verdict::Weak));
        assert_eq!(verdict(script, "libraries"), Some(Verdict::Failed));
    }

    #[test]
    fn other_machines_are_named() {
        let check = architecture(Machine::Aarch64, Machine::X86_64);
        assert_eq!(check.verdict, Verdict::Failed);
        assert_eq!(check.found, "for aarch64, and this machine is x86_64");
        assert_eq!(
            architecture(Machine::here(), Machine::here()).verdict,
            Verdict::Ok
        );
    }

    #[test]
    fn sizes_are_judged_and_short() {
        assert_eq!(size(1 << 20).verdict, Verdict::Ok);
        assert_eq!(size(LARGE).verdict, Verdict::Weak);
        assert_eq!(size(MAX_BINARY_BYTES + 1).verdict, Verdict::Failed);
        let texts = [1, 1536, 3 << 20].map(human);
        assert_eq!(texts, ["1 byte", "1.5 KiB", "3.0 MiB"]);
    }
}
