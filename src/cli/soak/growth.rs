//! Whether something grows: the mean of the last quarter against that of the first.

use std::fmt;

use serde_json::{Value, json};

/// The share of a series, from its beginning, that is warm-up.
const WARM_UP: f64 = 0.1;
/// The fewest samples from which growth can be judged.
const FEWEST: usize = 8;

/// How much something may grow: a share of its first value, plus a constant.
#[derive(Debug, Clone, Copy)]
pub struct Bound {
    pub share: f64,
    pub more: f64,
}

/// The growth of one series.
#[derive(Debug, Clone, PartialEq)]
pub struct Growth {
    pub first: f64,
    pub last: f64,
    pub allowed: f64,
}

impl Growth {
    /// `None` if there are too few samples.
    pub fn of(series: &[f64], bound: Bound) -> Option<Self> {
        let warm_up = (series.len() as f64 * WARM_UP).ceil() as usize;
        let warm = series.get(warm_up..)?;
        if warm.len() < FEWEST {
            return None;
        }
        let quarter = warm.len() / 4;
        let first = mean(&warm[..quarter]);
        Some(Self {
            first,
            last: mean(&warm[warm.len() - quarter..]),
            allowed: first * (1.0 + bound.share) + bound.more,
        })
    }

    /// Returns whether it stayed within its bound.
    pub fn is_within(&self) -> bool {
        self.last <= self.allowed
    }

    pub fn json(&self) -> Value {
        json!({
            "first_quarter": self.first,
            "last_quarter": self.last,
            "allowed": self.allowed,
            "within": self.is_within(),
        })
    }
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.is_within() { "steady" } else { "GROWS" };
        let Self {
            first,
            last,
            allowed,
        } = self;
        write!(f, "{first:>14.1}{last:>14.1}{allowed:>14.1}   {verdict}")
    }
}

fn mean(samples: &[f64]) -> f64 {
    samples.iter().sum::<f64>() / samples.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENTH: Bound = Bound {
        share: 0.1,
        more: 2.0,
    };

    fn grows(series: impl Iterator<Item = f64>) -> bool {
        let series: Vec<f64> = series.collect();
        !Growth::of(&series, TENTH).unwrap().is_within()
    }

    #[test]
    fn what_stays_does_not_grow_whatever_its_noise() {
        assert!(!grows((0..100).map(|_| 40.0)));
        assert!(!grows((0..100).map(|at| 40.0 + f64::from(at % 7))));
        assert!(!grows((0..100).map(|at| 140.0 - f64::from(at))));
    }

    #[test]
    fn warm_up_does_not_count() {
        assert!(!grows((0..100).map(|at| f64::from(at.min(9)) * 10.0)));
        assert!(grows((0..100).map(|at| f64::from(at.min(50)) * 10.0)));
    }

    #[test]
    fn a_slow_leak_is_found() {
        assert!(grows((0..100).map(|at| 40.0 + f64::from(at) * 0.2)));
        assert!(grows((0..100).map(|at| 40.0 + f64::from(at / 20) * 5.0)));
        assert!(grows((0..100).map(|at| 400.0 * 1.002_f64.powi(at))));
    }

    #[test]
    fn an_outlier_is_not_a_leak_and_a_late_step_is() {
        assert!(!grows((0..100).map(|at| if at == 90 {
            80.0
        } else {
            40.0
        })));
        assert!(grows((0..100).map(|at| if at >= 85 { 60.0 } else { 40.0 })));
    }

    #[test]
    fn few_samples_say_nothing() {
        assert_eq!(Growth::of(&[1.0; 8], TENTH), None);
        assert!(Growth::of(&[1.0; 9], TENTH).is_some());
        assert_eq!(Growth::of(&[], TENTH), None);
    }
}
