//! One process that makes random calls, in several threads.

use std::thread;

use crate::arguments::{Arguments, number};
use crate::calls::starts_process;
use crate::kernel::{call, call_as_32_bit, interrupt_regularly, thread_id};
use crate::memory;
use crate::plan::Plan;
use crate::random::Random;
use crate::tally::Tally;

/// How many calls are made between two searches for marks of other requests.
const SEARCH_EACH: u64 = 64;
const STACK: usize = 64 << 10;

/// Makes the calls of one process and returns, if it lives to see it.
pub(crate) fn rage(plan: &Plan, seed: u64, tally: Tally) {
    tally.process();
    let (owner, calls) = (plan.seed, plan.calls);
    let random = Random::new(seed);
    let numbers = choose_numbers(&random);
    if plan.planted != 0 {
        memory::mark(&random, plan.planted);
        search(owner, 0, tally);
    }
    let mut threads = Vec::new();
    for _ in 1..plan.threads {
        let (random, numbers) = (Random::new(random.next()), numbers.clone());
        let thread = thread::Builder::new().stack_size(STACK);
        threads.extend(thread.spawn(move || make_calls(random, &numbers, owner, calls, tally)));
    }
    make_calls(random, &numbers, owner, calls, tally);
    for thread in threads {
        let _ = thread.join();
    }
}

/// Some numbers, so that calls that belong together follow each other, or none: all are made then.
fn choose_numbers(random: &Random) -> Vec<i64> {
    let count = random.pick(&[0, 0, 4, 16, 64]);
    (0..count).map(|_| number(random)).collect()
}

fn make_calls(random: Random, numbers: &[i64], owner: u64, calls: u64, tally: Tally) {
    interrupt_regularly();
    let mut arguments = Arguments::default();
    for count in 1..=calls {
        let number = match numbers {
            [] => number(&random),
            some => random.pick(some),
        };
        let six = arguments.of(number, &random);
        tally.begin();
        let result = match random.one_in(2000) {
            true => call_as_32_bit(random.below(460) as u32, six),
            false => call(number, six),
        };
        tally.result(result);
        if let Ok(value) = result {
            arguments.remember(value);
        }
        if starts_process(number) && result == Ok(0) {
            random.part(thread_id());
        }
        if count % SEARCH_EACH == 0 {
            search(owner, number, tally);
            memory::mark(&random, owner);
        }
    }
}

/// Looks for the mark of another request, which the last calls may have brought.
fn search(owner: u64, number: i64, tally: Tally) {
    if let Some(other) = memory::find_foreign(owner) {
        tally.leak(other, number);
    }
}
