//! The memory that calls are pointed at. All threads of a process share it, so that one changes arguments
//! while the kernel reads those of another.

use std::ffi::CStr;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::canary;
use crate::random::Random;

const BUFFER_WORDS: usize = 2048;
/// What calls read from and write to.
static BUFFER: [AtomicU64; BUFFER_WORDS] = [const { AtomicU64::new(0) }; BUFFER_WORDS];

const PAGE: usize = 4096;
const MAPPED_PAGES: usize = 16;

/// Whole pages, which nothing else uses: calls may unmap them.
#[repr(align(4096))]
struct Pages([AtomicU64; MAPPED_PAGES * PAGE / 8]);

static MAPPED: Pages = Pages([const { AtomicU64::new(0) }; MAPPED_PAGES * PAGE / 8]);

const PATHS: [&CStr; 32] = [
    c"/",
    c".",
    c"..",
    c"",
    c"/udf",
    c"/tmp",
    c"/tmp/one",
    c"/tmp/two",
    c"/tmp/one/two",
    c"one",
    c"/new",
    c"/dev/null",
    c"/dev/shm/one",
    c"/sys/kernel",
    c"/etc/passwd",
    c"/proc",
    c"/proc/1/mem",
    c"/proc/1/environ",
    c"/proc/1/root/udf",
    c"/proc/self/exe",
    c"/proc/self/mem",
    c"/proc/self/maps",
    c"/proc/self/fd",
    c"/proc/self/fd/3",
    c"/proc/self/fdinfo/3",
    c"/proc/self/ns/user",
    c"/proc/self/uid_map",
    c"/proc/self/oom_score_adj",
    c"/proc/self/task",
    c"/proc/thread-self/comm",
    c"/proc/sys/kernel/ns_last_pid",
    c"user.one",
];

/// Returns the address of a text that is a path, or a name.
pub(crate) fn path(random: &Random) -> usize {
    random.pick(&PATHS).as_ptr().addr()
}

/// Returns the address of a page, mostly one that may be unmapped.
pub(crate) fn page(random: &Random) -> usize {
    MAPPED.0.as_ptr().addr() + random.below(MAPPED_PAGES + 1) * PAGE
}

/// Returns an address in the buffer, close to its end every now and then.
pub(crate) fn place(random: &Random) -> usize {
    let word = match random.one_in(16) {
        true => BUFFER_WORDS - 1,
        false => random.below(BUFFER_WORDS),
    };
    BUFFER[word].as_ptr().addr() + if random.one_in(8) { random.below(8) } else { 0 }
}

/// Fills a part of the buffer with words, which depend on their index. Returns its address.
pub(crate) fn filled(random: &Random, word: impl Fn(usize) -> u64) -> usize {
    const WORDS: usize = 16;
    let start = random.below(BUFFER_WORDS - WORDS);
    for (index, place) in BUFFER[start..start + WORDS].iter().enumerate() {
        place.store(word(index), Ordering::Relaxed);
    }
    BUFFER[start].as_ptr().addr()
}

/// Marks a part of the buffer as this request's.
pub(crate) fn mark(random: &Random, owner: u64) {
    let mut mark = canary::of(owner).into_bytes();
    mark.resize(canary::LENGTH.next_multiple_of(8), 0);
    let start = random.below(BUFFER_WORDS - mark.len() / 8);
    for (place, bytes) in BUFFER[start..].iter().zip(mark.chunks_exact(8)) {
        let word = bytes.try_into().map_or(0, u64::from_ne_bytes);
        place.store(word, Ordering::Relaxed);
    }
}

/// Returns the owner of a mark in the buffer that is not of `own`.
pub(crate) fn find_foreign(own: u64) -> Option<u64> {
    let words = BUFFER.iter().map(|word| word.load(Ordering::Relaxed));
    let bytes: Vec<u8> = words.flat_map(u64::to_ne_bytes).collect();
    canary::find_foreign(&bytes, own)
}
