//! How long many requests took, as a person likes to see it.

use std::fmt;
use std::time::Duration;

/// The bars' full length in characters.
const WIDTH: u128 = 40;

/// The times of many requests.
#[derive(Default)]
pub struct Latencies {
    start: Vec<Duration>,
    run: Vec<Duration>,
}

impl Latencies {
    /// Adds one request.
    pub fn add(&mut self, start: Duration, run: Duration) {
        self.start.push(start);
        self.run.push(run);
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = [("start", &self.start), ("run", &self.run)];
        let scale = rows.iter().map(|(_, times)| percentile(times, 99)).max();
        let scale = scale.unwrap_or_default().as_micros().max(1);
        for (name, times) in rows {
            for percent in [50, 99] {
                let time = percentile(times, percent);
                let bar = "#".repeat((time.as_micros() * WIDTH / scale) as usize);
                writeln!(
                    out,
                    "  {name:<6} p{percent}     {:>6} us {bar}",
                    time.as_micros()
                )?;
            }
        }
        Ok(())
    }
}

/// The time that this many per cent of the requests stay within.
fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(index).copied().unwrap_or_default()
}
