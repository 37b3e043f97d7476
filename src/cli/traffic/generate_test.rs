//! Tests of the arithmetic with simulated services, in a time that advances only while all tasks wait.

use std::sync::Mutex;

use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::*;

const MS: Duration = Duration::from_millis(1);

/// The runtime's paused clock.
#[derive(Debug, Clone)]
struct Paused;

impl Clock for Paused {
    async fn sleep_until(&self, until: Instant) {
        tokio::time::sleep_until(until).await;
    }
}

/// A clock that oversleeps once, as if the machine had stood still.
#[derive(Debug, Clone)]
struct Stalling {
    stall: Arc<Mutex<Option<(Duration, Duration)>>>,
    start: Instant,
}

impl Clock for Stalling {
    async fn sleep_until(&self, until: Instant) {
        tokio::time::sleep_until(until).await;
        let stall = {
            let mut stall = self.stall.lock().unwrap();
            stall.take_if(|(at, _)| until - self.start >= *at)
        };
        if let Some((_, time)) = stall {
            sleep(time).await;
        }
    }
}

fn plan(interval: Duration, burst: u32, bursts: u64) -> Plan {
    Plan {
        interval,
        burst,
        bursts: Some(bursts),
        time: None,
    }
}

/// A fixed number of servers with a fixed time for each call; calls wait in a queue.
fn service(
    servers: usize,
    time: Duration,
) -> impl Fn() -> std::pin::Pin<Box<dyn Future<Output = Result<Answer, String>> + Send>> {
    let servers = Arc::new(Semaphore::new(servers));
    move || {
        let servers = Arc::clone(&servers);
        Box::pin(async move {
            let asked = Instant::now();
            let _server = servers.acquire().await.unwrap();
            let wait = asked.elapsed();
            sleep(time).await;
            Ok(Answer { wait, run: time })
        })
    }
}

#[track_caller]
fn near(time: Duration, millis: u64) {
    let expected = Duration::from_millis(millis);
    // The histogram keeps three digits.
    let tolerance = expected / 500;
    assert!(
        time.abs_diff(expected) <= tolerance,
        "{time:?}, not {expected:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_service_with_room_answers_in_its_own_time() {
    let plan = plan(10 * MS, 3, 100);
    let measured = generate(&Paused, &plan, &Arc::default(), service(1000, 40 * MS)).await;
    assert_eq!((measured.bursts, measured.invocations()), (100, 300));
    assert_eq!((measured.late, measured.failures), (0, 0));
    near(measured.invocation.min(), 40);
    near(measured.invocation.max(), 40);
    near(measured.wait.max(), 0);
    near(measured.elapsed, 990 + 40);
}

#[tokio::test(start_paused = true)]
async fn calls_of_a_burst_wait_for_each_other() {
    let plan = plan(100 * MS, 4, 50);
    let measured = generate(&Paused, &plan, &Arc::default(), service(1, 20 * MS)).await;
    near(measured.invocation.min(), 20);
    near(measured.invocation.percentile(50.0), 40);
    near(measured.invocation.max(), 80);
    near(measured.wait.max(), 60);
    near(measured.processing.max(), 80);
    near(measured.run.max(), 20);
}

#[tokio::test(start_paused = true)]
async fn overload_shows_as_ever_longer_times_and_does_not_slow_the_asking() {
    // A call each 10 ms for a server that takes 20: the n-th waits for 10 n.
    let plan = plan(10 * MS, 1, 101);
    let measured = generate(&Paused, &plan, &Arc::default(), service(1, 20 * MS)).await;
    assert_eq!(measured.late, 0);
    near(measured.invocation.percentile(50.0), 20 + 500);
    near(measured.invocation.max(), 20 + 1000);
    near(measured.elapsed, 1000 + 20 + 1000);
}

#[tokio::test(start_paused = true)]
async fn what_stands_still_is_charged_to_every_call_that_was_due() {
    let clock = Stalling {
        stall: Arc::new(Mutex::new(Some((500 * MS, 200 * MS)))),
        start: Instant::now(),
    };
    let plan = plan(10 * MS, 1, 100);
    let measured = generate(&clock, &plan, &Arc::default(), service(1000, MS)).await;
    assert_eq!(measured.invocation.count(), 100);
    // The one that was due at 500 ms began at 700, and the others behind it one by one.
    near(measured.invocation.max(), 201);
    assert_eq!(measured.late, 20);
    near(measured.invocation.percentile(50.0), 1);
}

#[tokio::test(start_paused = true)]
async fn failures_are_counted_and_the_first_is_told() {
    let count = Arc::new(AtomicU64::new(0));
    let call = move || {
        let number = count.fetch_add(1, Ordering::Relaxed);
        async move {
            match number % 4 {
                0 => Err(format!("call {number}")),
                _ => Ok(Answer::default()),
            }
        }
    };
    let progress = Arc::<Progress>::default();
    let measured = generate(&Paused, &plan(MS, 2, 50), &progress, call).await;
    assert_eq!((measured.failures, measured.invocations()), (25, 100));
    assert!((measured.failure_percent() - 25.0).abs() < 1e-9);
    assert_eq!(measured.first_failure.as_deref(), Some("call 0"));
    assert_eq!(progress.failed.load(Ordering::Relaxed), 25);
}

#[tokio::test(start_paused = true)]
async fn a_time_bounds_the_bursts_too() {
    let plan = Plan {
        interval: 10 * MS,
        burst: 1,
        bursts: None,
        time: Some(Duration::from_secs(1)),
    };
    let measured = generate(&Paused, &plan, &Arc::default(), service(1, MS)).await;
    assert_eq!(measured.bursts, 100);
}
