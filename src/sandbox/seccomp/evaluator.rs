//! Evaluates a filter as the kernel does, for tests.

use super::filter::{ARCH, ARCHITECTURE, ARGUMENTS, Instruction, NUMBER};

/// The input of a filter.
#[derive(Clone, Copy)]
pub(super) struct Call {
    pub(super) number: u32,
    pub(super) architecture: u32,
    pub(super) arguments: [u64; 6],
}

impl Call {
    pub(super) fn new(number: i64, arguments: [u64; 6]) -> Self {
        Self {
            number: number as u32,
            architecture: ARCHITECTURE,
            arguments,
        }
    }

    fn word(&self, offset: u32) -> u32 {
        match offset {
            NUMBER => self.number,
            ARCH => self.architecture,
            _ => {
                let at = offset - ARGUMENTS;
                (self.arguments[at as usize / 8] >> (8 * (at % 8))) as u32
            }
        }
    }
}

/// Returns the filter's action for a call.
pub(super) fn evaluate(program: &[Instruction], call: &Call) -> u32 {
    let (mut at, mut word) = (0, 0);
    loop {
        let Instruction {
            code,
            if_true,
            if_false,
            value,
        } = program[at];
        at += 1;
        let branch = |yes: bool| usize::from(if yes { if_true } else { if_false });
        match code {
            0x20 => word = call.word(value),
            0x05 => at += value as usize,
            0x15 => at += branch(word == value),
            0x35 => at += branch(word >= value),
            0x45 => at += branch(word & value != 0),
            0x06 => return value,
            other => panic!("instruction {other:#x} is not one that the builder makes"),
        }
    }
}
