//! Whether two sets of times differ, without assuming how times are spread: the Mann-Whitney test,
//! as the interval of ratios that it does not rule out.

/// The most times of one benchmark that are compared.
const MOST: usize = 50;

/// The ratio of new times to old times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio {
    /// Of the medians.
    pub of_medians: f64,
    /// The confidence interval; `None` if there are too few times.
    pub interval: Option<(f64, f64)>,
}

/// The verdict on a ratio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Faster,
    Slower,
    /// No measurable difference.
    Open,
}

impl Ratio {
    /// Compares two sets of times, neither of which may be empty. `confidence` must be less than 1.
    pub fn of(old: &[f64], new: &[f64], confidence: f64) -> Self {
        let (old, new) = (&old[..old.len().min(MOST)], &new[..new.len().min(MOST)]);
        let pairs = new
            .iter()
            .flat_map(|new| old.iter().map(move |old| new / old));
        let mut ratios: Vec<_> = pairs.collect();
        ratios.sort_by(f64::total_cmp);
        let outside = ruled_out(old.len(), new.len(), confidence);
        Self {
            of_medians: median(new) / median(old),
            interval: outside.map(|outside| (ratios[outside], ratios[ratios.len() - 1 - outside])),
        }
    }

    pub fn verdict(&self) -> Verdict {
        match self.interval {
            Some((low, _)) if low > 1.0 => Verdict::Slower,
            Some((_, high)) if high < 1.0 => Verdict::Faster,
            _ => Verdict::Open,
        }
    }
}

/// Returns the median; 0 without values.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        count if count % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// Returns the number of times that each of two sets needs for this confidence.
pub fn least_count(confidence: f64) -> usize {
    let enough = |count: &usize| ruled_out(*count, *count, confidence).is_some();
    (1..=MOST).find(enough).unwrap_or(MOST)
}

/// How many of the smallest ratios, and of the largest, are not in the interval: the critical value of
/// the test. `None` if not even all of them are enough.
fn ruled_out(old: usize, new: usize, confidence: f64) -> Option<usize> {
    let (mut outside, mut both_tails) = (None, 0.0);
    for (value, probability) in distribution(old, new).into_iter().enumerate() {
        both_tails += 2.0 * probability;
        // Sums of floating-point fractions are not exact.
        if both_tails > (1.0 - confidence) * (1.0 + 1e-9) {
            break;
        }
        outside = Some(value);
    }
    outside
}

/// The probability of each value of Mann and Whitney's U, if both sets are of one kind: how many of
/// all sums of up to `old` numbers, each at most `new`, have that value.
fn distribution(old: usize, new: usize) -> Vec<f64> {
    let most = old * new;
    let mut ways = vec![vec![0.0; most + 1]; old + 1];
    ways[0][0] = 1.0;
    for number in 1..=new {
        for count in 1..=old {
            for sum in number..=most {
                ways[count][sum] += ways[count - 1][sum - number];
            }
        }
    }
    let sums: Vec<f64> = (0..=most)
        .map(|sum| ways.iter().map(|ways| ways[sum]).sum())
        .collect();
    let all: f64 = sums.iter().sum();
    sums.into_iter().map(|sum| sum / all).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(one: f64, other: f64) {
        assert!((one - other).abs() < 1e-9, "{one} is not {other}");
    }

    #[test]
    fn the_median_is_in_the_middle() {
        near(median(&[3.0, 1.0, 2.0]), 2.0);
        near(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        near(median(&[]), 0.0);
    }

    #[test]
    fn probabilities_are_those_of_all_orders() {
        // Of the 252 orders of five and five, one each has 0 and 1, two have 2, three have 3.
        let five = distribution(5, 5);
        for (value, orders) in [1.0, 1.0, 2.0, 3.0, 5.0, 7.0].into_iter().enumerate() {
            near(five[value], orders / 252.0);
        }
        near(five.iter().sum(), 1.0);
        near(five[25], five[0]);
        assert_eq!(distribution(2, 1), [1.0 / 3.0; 3]);
    }

    /// The critical values of published tables, for both sides.
    #[test]
    fn critical_values_are_those_of_the_tables() {
        for (old, new, at_95, at_99) in [
            (3, 3, None, None),
            (4, 4, Some(0), None),
            (5, 5, Some(2), Some(0)),
            (5, 8, Some(6), Some(2)),
            (8, 8, Some(13), Some(7)),
            (10, 10, Some(23), Some(16)),
            (20, 20, Some(127), Some(105)),
        ] {
            assert_eq!(ruled_out(old, new, 0.95), at_95, "{old}, {new}");
            assert_eq!(ruled_out(new, old, 0.99), at_99, "{old}, {new}");
        }
        assert_eq!(least_count(0.95), 4);
        assert_eq!(least_count(0.99), 5);
    }

    #[test]
    fn what_is_twice_as_slow_is_told() {
        let old = [10.0, 11.0, 12.0, 13.0, 14.0];
        let new = old.map(|time| 2.0 * time);
        let ratio = Ratio::of(&old, &new, 0.99);
        near(ratio.of_medians, 2.0);
        assert_eq!(ratio.interval, Some((20.0 / 14.0, 2.8)));
        assert_eq!(ratio.verdict(), Verdict::Slower);
        let back = Ratio::of(&new, &old, 0.99);
        assert_eq!(back.verdict(), Verdict::Faster);
        assert_eq!(Ratio::of(&old, &old, 0.99).verdict(), Verdict::Open);
    }

    #[test]
    fn what_overlaps_is_open_and_more_times_narrow_it() {
        let old = [10.0, 11.0, 12.0, 13.0, 14.0];
        let new = [13.5, 14.0, 15.0, 16.0, 17.0];
        assert_eq!(Ratio::of(&old, &new, 0.99).verdict(), Verdict::Open);
        assert_eq!(Ratio::of(&old, &new, 0.95).verdict(), Verdict::Slower);
        assert_eq!(Ratio::of(&[1.0], &[9.0], 0.99).interval, None);
        assert_eq!(Ratio::of(&[1.0], &[9.0], 0.99).verdict(), Verdict::Open);
    }

    #[test]
    fn equal_times_are_no_difference_and_many_are_no_trouble() {
        let same = [5.0; 500];
        assert_eq!(Ratio::of(&same, &same, 0.99).interval, Some((1.0, 1.0)));
        assert_eq!(Ratio::of(&same, &same, 0.99).verdict(), Verdict::Open);
    }
}
