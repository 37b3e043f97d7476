//! Compiles a policy to a BPF program.
//!
//! The program checks the architecture, then finds the range of system call numbers that the call
//! belongs to by binary search, then applies that range's verdict. Adjacent numbers with the same verdict
//! are one range, so that the tree is small. Unknown numbers are tested first: for each new process
//! gVisor's kernel runs the filter for all of its 2001 numbers, most of which are unknown.

use std::collections::BTreeMap;

use libc::{BPF_ABS, BPF_JA, BPF_JEQ, BPF_JGE, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET, BPF_W};

use crate::gate::Gate;

/// One BPF instruction, as the kernel reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    pub(crate) code: u16,
    pub(crate) if_true: u8,
    pub(crate) if_false: u8,
    pub(crate) value: u32,
}

/// The decision on a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The call is made.
    Allow,
    /// The call fails with this error number.
    Errno(i32),
    /// The call is made if one of the tests passes; otherwise it fails with `EPERM`.
    If(&'static [Test]),
}

/// A test of one argument. All but [`Test::Gate`] look only at the lower half, because the kernel takes an
/// `int`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// None of these bits is set in the argument.
    NoBits(usize, u32),
    /// The argument is one of these values.
    OneOf(usize, &'static [u32]),
    /// The argument is none of these values.
    NoneOf(usize, &'static [u32]),
    /// The argument is the spawner's secret.
    Gate(usize),
}

/// A verdict for every system call.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) verdicts: BTreeMap<u32, Verdict>,
    /// For numbers that are not listed, up to [`LAST_KNOWN`].
    pub(crate) known: Verdict,
}

impl Policy {
    fn verdict(&self, number: u32) -> Verdict {
        if number > LAST_KNOWN {
            return Verdict::Errno(libc::ENOSYS);
        }
        self.verdicts.get(&number).copied().unwrap_or(self.known)
    }

    /// Returns whether a call fails, whatever or at least for some of its arguments.
    pub(crate) fn may_deny(&self, number: u32) -> bool {
        self.verdict(number) != Verdict::Allow
    }
}

/// The last known number, on every architecture (`statmount`, `listmount` and later ones are not in use
/// yet). All numbers beyond it are unknown, including those of x32.
pub(crate) const LAST_KNOWN: u32 = 462;

#[cfg(target_arch = "x86_64")]
pub(crate) const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
pub(crate) const ARCHITECTURE: u32 = 0xc000_00b7;

// Offsets in struct seccomp_data.
pub(crate) const NUMBER: u32 = 0;
pub(crate) const ARCH: u32 = 4;
pub(crate) const ARGUMENTS: u32 = 16;

const LOAD: u32 = BPF_LD | BPF_W | BPF_ABS;
pub(super) const EQUAL: u32 = BPF_JMP | BPF_JEQ | BPF_K;
const AT_LEAST: u32 = BPF_JMP | BPF_JGE | BPF_K;
const ANY_BIT: u32 = BPF_JMP | BPF_JSET | BPF_K;
const JUMP: u32 = BPF_JMP | BPF_JA;
const RETURN: u32 = BPF_RET | BPF_K;

pub(crate) fn compile(policy: &Policy, gate: Gate) -> Vec<Instruction> {
    let mut program = vec![
        load(ARCH),
        instruction(EQUAL, ARCHITECTURE, 1, 0),
        // The numbers of another architecture mean other calls: there is no legitimate reason to use them.
        instruction(RETURN, libc::SECCOMP_RET_KILL_PROCESS, 0, 0),
        load(NUMBER),
        instruction(AT_LEAST, LAST_KNOWN + 1, 0, 1),
        fail(libc::ENOSYS),
    ];
    program.extend(search(&ranges(policy), gate));
    program
}

/// Returns the first number of each range with its verdict, sorted; the first range starts at 0.
fn ranges(policy: &Policy) -> Vec<(u32, Verdict)> {
    let mut ranges: Vec<(u32, Verdict)> = Vec::new();
    for (number, verdict) in (0..=LAST_KNOWN).map(|number| (number, policy.verdict(number))) {
        if ranges.last().is_none_or(|(_, last)| *last != verdict) {
            ranges.push((number, verdict));
        }
    }
    ranges
}

fn search(ranges: &[(u32, Verdict)], gate: Gate) -> Vec<Instruction> {
    if let [(_, verdict)] = ranges {
        return apply(*verdict, gate);
    }
    let (below, above) = ranges.split_at(ranges.len() / 2);
    let first_above = above[0].0;
    let below = search(below, gate);
    let above = search(above, gate);
    let mut program = match u8::try_from(below.len()) {
        Ok(distance) => vec![instruction(AT_LEAST, first_above, distance, 0)],
        // Conditional jumps reach 255 instructions.
        Err(_) => vec![
            instruction(AT_LEAST, first_above, 0, 1),
            instruction(JUMP, below.len() as u32, 0, 0),
        ],
    };
    program.extend(below);
    program.extend(above);
    program
}

fn apply(verdict: Verdict, gate: Gate) -> Vec<Instruction> {
    match verdict {
        Verdict::Allow => vec![allow()],
        Verdict::Errno(errno) => vec![fail(errno)],
        Verdict::If(tests) => {
            let mut program: Vec<_> = tests.iter().flat_map(|one| test(*one, gate)).collect();
            program.push(fail(libc::EPERM));
            program
        }
    }
}

/// Compiles a test. It ends with `allow`; a test that fails jumps over it.
fn test(test: Test, gate: Gate) -> Vec<Instruction> {
    match test {
        Test::NoBits(argument, bits) => {
            vec![
                load(low(argument)),
                instruction(ANY_BIT, bits, 1, 0),
                allow(),
            ]
        }
        Test::OneOf(argument, values) => {
            let mut program = vec![load(low(argument))];
            for (index, value) in values.iter().enumerate() {
                let remaining = (values.len() - 1 - index) as u8;
                let otherwise = u8::from(remaining == 0);
                program.push(instruction(EQUAL, *value, remaining, otherwise));
            }
            program.push(allow());
            program
        }
        Test::NoneOf(argument, values) => {
            let mut program = vec![load(low(argument))];
            for (index, value) in values.iter().enumerate() {
                program.push(instruction(EQUAL, *value, (values.len() - index) as u8, 0));
            }
            program.push(allow());
            program
        }
        Test::Gate(argument) => vec![
            load(low(argument)),
            instruction(EQUAL, gate.secret() as u32, 0, 3),
            load(low(argument) + 4),
            instruction(EQUAL, (gate.secret() >> 32) as u32, 0, 1),
            allow(),
        ],
    }
}

fn low(argument: usize) -> u32 {
    ARGUMENTS + 8 * argument as u32
}

pub(super) fn load(offset: u32) -> Instruction {
    instruction(LOAD, offset, 0, 0)
}

pub(super) fn allow() -> Instruction {
    instruction(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0)
}

pub(super) fn fail(errno: i32) -> Instruction {
    instruction(RETURN, libc::SECCOMP_RET_ERRNO | errno as u32, 0, 0)
}

pub(super) fn instruction(code: u32, value: u32, if_true: u8, if_false: u8) -> Instruction {
    Instruction {
        code: code as u16,
        if_true,
        if_false,
        value,
    }
}
