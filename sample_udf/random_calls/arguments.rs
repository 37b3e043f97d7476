//! Random arguments for system calls, most of them of the kind that the call takes.

use std::ffi::c_long;

use crate::calls::{LEFT_OUT, shape};
use crate::memory::{filled, page, path, place};
use crate::random::Random;

/// Numbers that kernels have, and a few beyond. Between the two ranges there is none.
const OLD: usize = 336;
const NEW: std::ops::Range<usize> = 424..476;
/// The mark of calls by the entry for programs with short pointers.
const X32: c_long = 0x4000_0000;

/// Chooses the number of a call.
pub(crate) fn number(random: &Random) -> c_long {
    let number = loop {
        let number = match random.below(OLD + NEW.len()) {
            old @ 0..OLD => old,
            new => new - OLD + NEW.start,
        } as c_long;
        if !LEFT_OUT.contains(&number) {
            break number;
        }
    };
    match random.below(500) {
        0 => number | X32,
        1 => -number,
        2 => random.next() as c_long,
        _ => number,
    }
}

/// Makes arguments, of what earlier calls returned among others: descriptors, names, addresses.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    results: [usize; 8],
    next: usize,
}

impl Arguments {
    pub(crate) fn remember(&mut self, result: usize) {
        if result != 0 {
            self.results[self.next % self.results.len()] = result;
            self.next += 1;
        }
    }

    pub(crate) fn of(&self, number: c_long, random: &Random) -> [usize; 6] {
        let shape = match random.one_in(4) {
            true => None,
            false => shape(number),
        };
        let mut kinds = shape.unwrap_or("******").chars();
        std::array::from_fn(|_| match kinds.next() {
            _ if random.one_in(24) => self.any(random),
            Some(kind) => self.of_kind(kind, random),
            // The call does not use it.
            None => random.next() as usize,
        })
    }

    /// Returns an argument of the kind that a letter of a shape stands for.
    fn of_kind(&self, kind: char, random: &Random) -> usize {
        match kind {
            '0' => 0,
            '1' => 1,
            '8' => 8,
            // Addresses to map, and of bytes.
            'a' => random.pick(&[0, page(random), page(random), self.result(random)]),
            'b' => random.pick(&[0, place(random), place(random), place(random)]),
            // Commands and counts.
            'c' => random.below(33).wrapping_sub(1),
            'd' => random.pick(&[AT_WORKING_DIRECTORY, self.descriptor(random)]),
            'f' => self.descriptor(random),
            'g' => flags(random),
            'i' => ioctl(random),
            // The kind of a socket.
            'k' => random.pick(&[1, 2, 3, 5]) | random.pick(&[0, 0x800, 0x8_0000]),
            'l' => clone_flags(random),
            // The mode of a file.
            'm' => random.below(0o20000),
            'n' => size(random),
            // The protection of memory.
            'o' => random.below(8),
            'p' => process(random),
            'q' => address_of_socket(random),
            // A request to ptrace.
            'r' => random.pick(&[random.below(25), 0x4200 + random.below(16)]),
            's' => path(random),
            't' => short_time(random),
            // A user or a group.
            'u' => random.pick(&[0, 1, 1000, 65534, usize::MAX]),
            'v' => self.structure(random),
            // A stack.
            'y' => random.pick(&[0, 0, place(random)]),
            // A command of arch_prctl, the family of a socket, an option of prctl, a signal.
            'A' => 0x1001 + random.below(4),
            'C' => random.pick(&[1, 1, 2, 10, 16, 17, 38, 40, random.below(46)]),
            'P' => random.below(80),
            'S' => random.below(66),
            _ => self.any(random),
        }
    }

    fn any(&self, random: &Random) -> usize {
        match random.below(12) {
            0 => 0,
            1 => usize::MAX,
            2 => random.below(64),
            3 => self.descriptor(random),
            4 => flags(random),
            5 => size(random),
            6 => random.next() as usize,
            7 => path(random),
            8 => self.structure(random),
            9 => unusual_address(random),
            10 => self.result(random),
            _ => place(random),
        }
    }

    fn descriptor(&self, random: &Random) -> usize {
        match random.below(8) {
            0..4 => self.result(random),
            4 => random.below(300),
            5 => usize::MAX,
            _ => random.below(21),
        }
    }

    fn result(&self, random: &Random) -> usize {
        random.pick(&self.results)
    }

    /// A structure of random members, among them pointers to others.
    fn structure(&self, random: &Random) -> usize {
        filled(random, |_| match random.below(8) {
            0 | 1 => random.below(64) as u64,
            2 => self.descriptor(random) as u64,
            3 => place(random) as u64,
            4 => size(random) as u64,
            5 => flags(random) as u64 | (random.below(4) as u64) << 32,
            6 => random.next(),
            _ => 0,
        })
    }
}

/// `AT_FDCWD`
const AT_WORKING_DIRECTORY: usize = -100_isize as usize;

/// A few bits of the lower 32.
fn flags(random: &Random) -> usize {
    let count = random.below(5);
    (0..count).fold(0, |flags, _| flags | 1 << random.below(32))
}

/// `SIGCHLD` and a few flags, among them those that share everything.
fn clone_flags(random: &Random) -> usize {
    const MEMORY_AND_MORE: usize = 0xf00;
    const THREAD: usize = 0x1_0000 | MEMORY_AND_MORE;
    let some = 1 << (8 + random.below(24));
    17 | random.pick(&[0, some, some | 1 << (8 + random.below(24)), THREAD | some])
}

fn size(random: &Random) -> usize {
    match random.below(8) {
        0 => 0,
        1 => random.below(64),
        2 | 3 => 1 << random.below(17),
        4 => 4096 * random.below(17),
        5 => (1 << random.below(64)) - 1,
        6 => usize::MAX - random.below(4096),
        _ => random.below(4096),
    }
}

/// Processes of this request, a group, or all.
fn process(random: &Random) -> usize {
    match random.below(16) {
        0 => usize::MAX,
        1 => random.below(5).wrapping_neg(),
        2..6 => 0,
        6..8 => 1,
        _ => random.below(100),
    }
}

/// Terminals, files, sockets, timers and namespaces have these kinds.
fn ioctl(random: &Random) -> usize {
    let kind = random.pick(&[
        0x54, 0x54, 0x66, 0x89, 0xb7, 0x94, 0xae, 0x12, 0xaa, 0x6f, 0x58,
    ]);
    let direction = random.pick(&[0, 0, 1, 2, 3]) << 30 | random.pick(&[0, 4, 8, 24, 32]) << 16;
    kind << 8 | random.below(256) | random.pick(&[0, direction])
}

/// A time of up to a millisecond, and the same as an interval.
fn short_time(random: &Random) -> usize {
    filled(random, |index| match index % 2 {
        0 => 0,
        _ => random.below(1_000_000) as u64,
    })
}

/// The address of a socket: its family and a few bytes.
fn address_of_socket(random: &Random) -> usize {
    let family = random.pick(&[1, 1, 2, 10, 16, 17, 40]);
    let rest = random.pick(&[0, 0x61_0000, 0x0100_007f_1f90_0000]);
    filled(random, |index| if index == 0 { family | rest } else { 0 })
}

/// Addresses of nothing, of the kernel, and of pages that every process has.
fn unusual_address(random: &Random) -> usize {
    let code = unusual_address as fn(&Random) -> usize as usize;
    random.pick(&[
        1,
        4096,
        code,
        0x7fff_ffff_f000,
        0x0000_8000_0000_0000,
        0xffff_8000_0000_0000,
        0xffff_ffff_8100_0000,
        0xffff_ffff_ff60_0000,
        usize::MAX - 4095,
    ])
}
