//! The floor: the best rate that the outer sandbox allows.

use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use roma_byob::ServiceBuilder;
use roma_protocol::byob::frame::LengthPrefix;
use roma_sandbox::fdpass;
use roma_sandbox::gate::Gate;
use roma_supervise::Outer;

use super::cpu;
use crate::output::summary::Summary;

/// A buffer larger than the output of one loop.
const ANSWER_BYTES: usize = 64 * 1024;

/// The result of some loops in parallel.
#[derive(Debug, Clone)]
pub struct Floor {
    pub loops: u16,
    /// Whether a request to a ready process was timed.
    pub hot: bool,
    pub cycles: u64,
    pub time: Duration,
    pub cpu: Duration,
    pub samples: Vec<Duration>,
    /// Cycles per second of each measurement.
    pub rates: Vec<f64>,
}

impl Floor {
    /// Merges two measurements of the same loops.
    pub fn and(mut self, later: Self) -> Self {
        self.cycles += later.cycles;
        self.time += later.time;
        self.cpu += later.cpu;
        self.samples.extend(later.samples);
        self.rates.extend(later.rates);
        self
    }

    /// Returns the times of the cycles.
    pub fn total(&self) -> Summary {
        Summary::of(self.samples.clone())
    }

    /// Returns the cycles per second.
    pub fn rate(&self) -> f64 {
        self.cycles as f64 / self.time.as_secs_f64()
    }

    /// Processor time of the machine for each cycle.
    pub fn cpu_for_each(&self) -> Duration {
        self.cpu / u32::try_from(self.cycles.max(1)).unwrap_or(u32::MAX)
    }
}

/// Runs `loops` loops for `time`.
pub async fn measure(
    builder: ServiceBuilder,
    program: &Path,
    (loops, hot): (u16, bool),
    time: Duration,
    udf: &Bytes,
    request: &Bytes,
) -> anyhow::Result<Floor> {
    let mut config = builder.into_sandbox_options().resolve().await?;
    config.run_workers = program.to_owned();
    let (control, inside) = fdpass::packet_pair()?;
    let outer = Outer::launch(&config, inside)?;
    let (mut code, code_inside) = UnixStream::pair()?;
    let mut order = loops.to_le_bytes().to_vec();
    order.extend(u32::try_from(time.as_millis())?.to_le_bytes());
    order.push(hot.into());
    fdpass::send(control.as_fd(), &order, &[code_inside.as_fd()])?;
    drop(code_inside);
    let (udf, request) = (udf.clone(), request.clone());
    let measured = tokio::task::spawn_blocking(move || -> anyhow::Result<Floor> {
        code.write_all(&(udf.len() as u64).to_le_bytes())?;
        code.write_all(&udf)?;
        code.write_all(LengthPrefix::new(request.len()).as_bytes())?;
        code.write_all(&request)?;
        drop(code);
        let busy = cpu::busy();
        let mut floor = Floor {
            loops,
            hot,
            cycles: 0,
            time,
            cpu: Duration::ZERO,
            samples: Vec::new(),
            rates: Vec::new(),
        };
        for _ in 0..loops {
            let mut answer = vec![0; ANSWER_BYTES];
            let packet = fdpass::receive(control.as_fd(), &mut answer, Gate::NONE)?;
            floor.cycles += read_answer(&answer[..packet.bytes], &mut floor.samples)?;
        }
        floor.cpu = cpu::busy().saturating_sub(busy);
        floor.rates.push(floor.rate());
        Ok(floor)
    })
    .await?;
    measured.with_context(|| format!("the floor failed: {}", outer.log_tail()))
}

fn read_answer(answer: &[u8], samples: &mut Vec<Duration>) -> anyhow::Result<u64> {
    let (count, times) = answer.split_first_chunk().context("a loop ended early")?;
    let (times, rest) = times.as_chunks();
    ensure!(rest.is_empty(), "a loop's answer is cut");
    samples.extend(
        times
            .iter()
            .map(|nanos| Duration::from_nanos(u32::from_le_bytes(*nanos).into())),
    );
    Ok(u64::from_le_bytes(*count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floor(cycles: u64, seconds: u64, millis: &[u64]) -> Floor {
        Floor {
            loops: 2,
            hot: false,
            cycles,
            time: Duration::from_secs(seconds),
            cpu: Duration::from_secs(seconds),
            samples: millis.iter().copied().map(Duration::from_millis).collect(),
            rates: vec![cycles as f64 / seconds as f64],
        }
    }

    #[test]
    fn a_fast_and_a_slow_time_count_alike() {
        let both = floor(300, 1, &[1, 2]).and(floor(100, 1, &[3, 9]));
        assert!((both.rate() - 200.0).abs() < 1e-9, "{both:?}");
        assert_eq!(both.rates, [300.0, 100.0]);
        assert_eq!(both.cpu_for_each(), Duration::from_millis(5));
        assert_eq!(both.total().p50, Duration::from_millis(2));
        assert_eq!(both.total().max, Duration::from_millis(9));
    }
}
