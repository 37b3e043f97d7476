//! Histograms of durations.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// Significant digits.
const DIGITS: u8 = 3;

/// A histogram of durations.
#[derive(Debug, Clone)]
pub struct Times(Histogram<u64>);

impl Default for Times {
    fn default() -> Self {
        #[expect(clippy::expect_used, reason = "only more than five digits are refused")]
        Self(Histogram::new(DIGITS).expect("three digits"))
    }
}

impl Times {
    pub fn record(&mut self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        // The histogram resizes; if it cannot, only this value is lost.
        let _ = self.0.record(nanos);
    }

    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// Returns the duration that `percent` percent of all durations do not exceed.
    pub fn percentile(&self, percent: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_percentile(percent))
    }

    pub fn min(&self) -> Duration {
        Duration::from_nanos(self.0.min())
    }

    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.0.max())
    }

    /// Returns the median of the distances from the median.
    pub fn median_deviation(&self) -> Duration {
        let median = self.0.value_at_percentile(50.0);
        let mut deviations = Self::default();
        for value in self.0.iter_recorded() {
            let distance = value.value_iterated_to().abs_diff(median);
            let _ = deviations.0.record_n(distance, value.count_at_value());
        }
        deviations.percentile(50.0)
    }

    /// Returns the end and the count of consecutive ranges, each of which is twice as long as the one
    /// before.
    pub fn ranges(&self) -> Vec<(Duration, u64)> {
        let first = self.0.min().max(1_000);
        self.0
            .iter_log(first, 2.0)
            .map(|range| {
                let end = Duration::from_nanos(range.value_iterated_to());
                (end, range.count_since_last_iteration())
            })
            .collect()
    }

    pub fn json(&self) -> Value {
        let seconds = |time: Duration| format!("{:.9}s", time.as_secs_f64());
        json!({
            "count": self.count(),
            "min": seconds(self.min()),
            "p50": seconds(self.percentile(50.0)),
            "p90": seconds(self.percentile(90.0)),
            "p95": seconds(self.percentile(95.0)),
            "p99": seconds(self.percentile(99.0)),
            "p999": seconds(self.percentile(99.9)),
            "max": seconds(self.max()),
            "mad_variance": seconds(self.median_deviation()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_and_deviation_are_right_to_three_digits() {
        let mut times = Times::default();
        (1..=1000).for_each(|millis| times.record(Duration::from_millis(millis)));
        let near = |time: Duration, millis: u128| {
            assert!(time.as_millis().abs_diff(millis) <= 1, "{time:?}");
        };
        assert_eq!(times.count(), 1000);
        near(times.percentile(50.0), 500);
        near(times.percentile(99.0), 990);
        near(times.min(), 1);
        near(times.max(), 1000);
        near(times.median_deviation(), 250);
        let counted: u64 = times.ranges().iter().map(|(_, count)| count).sum();
        assert_eq!(counted, 1000);
    }

    #[test]
    fn statistics_without_times_are_zero() {
        let times = Times::default();
        assert_eq!(times.max(), Duration::ZERO);
        assert_eq!(times.json()["p50"], "0.000000000s");
    }
}
