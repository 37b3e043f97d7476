//! Random numbers that depend on a seed (SplitMix64).

use std::cell::Cell;

#[derive(Debug, Clone)]
pub(crate) struct Random(Cell<u64>);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Cell::new(seed))
    }

    pub(crate) fn next(&self) -> u64 {
        self.0.set(self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        mix(self.0.get())
    }

    /// Returns a number below `bound`, which must not be 0.
    pub(crate) fn below(&self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// Returns `true` once in `count` times.
    pub(crate) fn one_in(&self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub(crate) fn pick<T: Copy>(&self, among: &[T]) -> T {
        among[self.below(among.len())]
    }

    /// Goes another way than a copy that stays behind.
    pub(crate) fn part(&self, number: u64) {
        self.0.set(self.0.get() ^ mix(number));
    }
}

fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
