//! Percentiles of durations.

use std::time::Duration;

use serde_json::{Value, json};

/// Percentiles of durations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    pub p50: Duration,
    pub p90: Duration,
    pub p99: Duration,
    pub max: Duration,
}

impl Summary {
    /// Computes the percentiles of durations in any order.
    pub fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |percent: usize| {
            let index = (times.len() * percent).div_ceil(100).saturating_sub(1);
            times.get(index).copied().unwrap_or_default()
        };
        Self {
            p50: at(50),
            p90: at(90),
            p99: at(99),
            max: at(100),
        }
    }

    /// Returns the percentiles in microseconds.
    pub fn json(&self) -> Value {
        json!({
            "p50": micros(self.p50), "p90": micros(self.p90),
            "p99": micros(self.p99), "max": micros(self.max),
        })
    }
}

/// Returns a duration in microseconds.
pub fn micros(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1000.0
}

/// Formats a duration with its unit.
pub fn short(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    match micros {
        ..1000.0 => format!("{micros:.0} us"),
        ..1_000_000.0 => format!("{:.2} ms", micros / 1e3),
        _ => format!("{:.2} s", micros / 1e6),
    }
}

/// Formats a duration with its unit and two or three digits.
pub fn brief(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    let (number, unit) = match micros {
        ..999.5 => return short(time),
        ..999_500.0 => (micros / 1e3, "ms"),
        _ => (micros / 1e6, "s"),
    };
    match number {
        ..9.95 => format!("{number:.1} {unit}"),
        _ => format!("{number:.0} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_recorded_times() {
        let times = (1..=200).rev().map(Duration::from_micros).collect();
        let summary = Summary::of(times);
        assert_eq!(summary.p50, Duration::from_micros(100));
        assert_eq!(summary.p99, Duration::from_micros(198));
        assert_eq!(summary.max, Duration::from_micros(200));
        assert_eq!(Summary::of(Vec::new()), Summary::default());
    }

    #[test]
    fn durations_are_formatted_with_their_unit() {
        assert_eq!(short(Duration::from_micros(12)), "12 us");
        assert_eq!(short(Duration::from_micros(1234)), "1.23 ms");
        assert_eq!(short(Duration::from_millis(2500)), "2.50 s");
    }

    #[test]
    fn brief_durations_have_no_more_digits_than_are_read() {
        let brief = |micros| brief(Duration::from_micros(micros));
        assert_eq!(brief(12), "12 us");
        assert_eq!(brief(1234), "1.2 ms");
        assert_eq!(brief(9960), "10 ms");
        assert_eq!(brief(297_300), "297 ms");
        assert_eq!(brief(999_700), "1.0 s");
        assert_eq!(brief(8_450_000), "8.4 s");
    }
}
