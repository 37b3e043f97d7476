//! The code that this worker has, least recently used first.

use crate::code::Code;

/// How many pieces of code a worker keeps. The engine loads others again when they are called.
const MOST: usize = 5;

/// The code, by its number.
#[derive(Default)]
pub(crate) struct Codes(Vec<(u64, Code)>);

impl Codes {
    /// Adds code, in place of that of the same number.
    pub(crate) fn insert(&mut self, number: u64, code: Code) {
        self.0.retain(|(other, _)| *other != number);
        if self.0.len() == MOST {
            self.0.remove(0);
        }
        self.0.push((number, code));
    }

    pub(crate) fn get(&mut self, number: u64) -> Option<&mut Code> {
        let at = self.0.iter().position(|(other, _)| *other == number)?;
        self.0[at..].rotate_left(1);
        self.0.last_mut().map(|(_, code)| code)
    }
}
