//! Searches for the highest rate that a service sustains, and for the longest call.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Returns the highest rate that goes well, to within `resolution`, or `None` if the lowest does not. Assumes
/// that if a rate goes well, every lower one does.
pub async fn highest_rate(
    rates: RangeInclusive<u32>,
    resolution: u32,
    mut goes_well: impl AsyncFnMut(u32) -> bool,
) -> Option<u32> {
    let (mut good, mut bad) = (*rates.start(), rates.end().saturating_add(1));
    if !goes_well(good).await {
        return None;
    }
    while bad - good > resolution.max(1) {
        let middle = good + (bad - good) / 2;
        match goes_well(middle).await {
            true => good = middle,
            false => bad = middle,
        }
    }
    Some(good)
}

/// The lengths of calls to try.
#[derive(Debug, Clone, Copy)]
pub struct Lengths {
    pub first: Duration,
    pub step: Duration,
    /// Once most calls fail, the search ends when one more step changes the share by at most this
    /// many percentage points.
    pub slope: f64,
}

/// The most steps of a search.
const MOST_STEPS: usize = 100;
/// The share of bad calls, in percent, above which most calls fail.
const MOST: f64 = 50.0;

/// Returns the share of bad calls, in percent, for each length until the search ends.
pub async fn shares(
    lengths: Lengths,
    mut bad_percent: impl AsyncFnMut(Duration) -> f64,
) -> Vec<(Duration, f64)> {
    let mut shares: Vec<(Duration, f64)> = Vec::new();
    let mut length = lengths.first;
    while shares.len() < MOST_STEPS {
        let share = bad_percent(length).await;
        let before = shares.last().map_or(0.0, |(_, share)| *share);
        shares.push((length, share));
        if share > MOST && share - before <= lengths.slope {
            break;
        }
        length += lengths.step;
    }
    shares
}

/// Returns the longest length up to which the share of bad calls stays within `percent`.
pub fn budget(shares: &[(Duration, f64)], percent: f64) -> Option<Duration> {
    let good = shares.iter().take_while(|(_, share)| *share <= percent);
    good.last().map(|(length, _)| *length)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn search(rates: RangeInclusive<u32>, resolution: u32, capacity: u32) -> Option<u32> {
        highest_rate(rates, resolution, async |rate| rate <= capacity).await
    }

    #[tokio::test]
    async fn the_highest_rate_is_found_wherever_it_is() {
        for capacity in 1..=100 {
            assert_eq!(search(1..=100, 1, capacity).await, Some(capacity));
        }
        assert_eq!(search(1..=100, 1, 0).await, None);
        assert_eq!(search(1..=100, 1, 1000).await, Some(100));
    }

    #[tokio::test]
    async fn the_highest_rate_is_found_to_within_the_resolution() {
        for capacity in (1..=10_000).step_by(37) {
            let found = search(1..=10_000, 50, capacity).await.unwrap();
            assert!(found <= capacity && capacity - found < 50, "{found}");
        }
    }

    #[tokio::test]
    async fn calls_grow_until_most_fail_and_no_more_changes() {
        let lengths = Lengths {
            first: Duration::from_millis(5),
            step: Duration::from_millis(5),
            slope: 1.0,
        };
        // All is well up to 40 ms; then it gets worse by 30 percent with each step.
        let of = |length: Duration| {
            let over = length.as_millis().saturating_sub(40) as f64 / 5.0;
            (30.0 * over).min(100.0)
        };
        let shares = shares(lengths, async |length| of(length)).await;
        assert_eq!(shares.last(), Some(&(Duration::from_millis(65), 100.0)));
        assert_eq!(budget(&shares, 1.0), Some(Duration::from_millis(40)));
        assert_eq!(budget(&shares, 30.0), Some(Duration::from_millis(45)));
        assert_eq!(budget(&shares[8..], 1.0), None);
    }
}
