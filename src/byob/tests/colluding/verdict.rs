//! Whether bits arrived: whether what a hearer saw follows from the bits that were told, more often than
//! chance allows. That needs no agreement on a code, and finds channels that are noisy or inverted as well.

use std::hash::{DefaultHasher, Hash, Hasher};

/// How many bits are told.
pub const BITS: usize = 48;

/// Bits of a trick: half of them ones, in an order that is the same in each run of a test.
pub fn bits(trick: &str, attempt: usize) -> Vec<bool> {
    let hash = |index: &usize| {
        let mut hasher = DefaultHasher::new();
        (trick, attempt, index).hash(&mut hasher);
        hasher.finish()
    };
    let mut order: Vec<usize> = (0..BITS).collect();
    order.sort_by_key(hash);
    let mut bits = vec![false; BITS];
    order[..BITS / 2]
        .iter()
        .for_each(|index| bits[*index] = true);
    bits
}

/// Whether it is worth to ask again. By chance this is so once in two hundred times.
pub fn is_suspect(bits: &[bool], values: &[i64]) -> bool {
    order(bits, values) > 0.75
}

/// Whether the bits arrived. By chance this is so once in two hundred thousand times.
pub fn is_heard(bits: &[bool], values: &[i64]) -> bool {
    order(bits, values) > 0.9
}

/// The share of pairs of a one and a zero that the values tell apart in the same way: at least 0.5, and 1 if no
/// bit is doubtful. It is the better of two readings: how high the values are, and how much they grow.
fn order(bits: &[bool], values: &[i64]) -> f64 {
    let growths: Vec<i64> = values
        .windows(2)
        .map(|pair| pair[1].wrapping_sub(pair[0]))
        .collect();
    share(bits, values).max(share(&bits[1..], &growths))
}

fn share(bits: &[bool], values: &[i64]) -> f64 {
    let of = |wanted: bool| {
        let pairs = bits.iter().zip(values);
        pairs.filter_map(move |(bit, value)| (*bit == wanted).then_some(value))
    };
    let mut share = 0.0;
    for one in of(true) {
        for zero in of(false) {
            share += match one.cmp(zero) {
                std::cmp::Ordering::Less => 0.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Greater => 1.0,
            };
        }
    }
    let share = share / (of(true).count() * of(false).count()) as f64;
    share.max(1.0 - share)
}

#[test]
fn levels_and_growth_are_heard_and_noise_is_not() {
    let told = bits("this", 0);
    assert_eq!(told.iter().filter(|bit| **bit).count(), BITS / 2);
    let levels: Vec<i64> = told.iter().map(|bit| -i64::from(*bit)).collect();
    assert!(is_heard(&told, &levels));
    let grown = told.iter().scan(0, |sum, bit| {
        *sum += 10 + i64::from(*bit);
        Some(*sum)
    });
    assert!(is_heard(&told, &grown.collect::<Vec<_>>()));
    assert!(!is_suspect(&told, &[7; BITS]));
    let other: Vec<i64> = bits("other", 0).into_iter().map(i64::from).collect();
    assert!(!is_suspect(&told, &other));
}
