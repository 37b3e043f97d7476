//! The same cycles through `run_workers`: a thread for each spawner keeps some workers ready, takes the
//! oldest, starts their replacements, sends them requests and waits until they end. The number of requests
//! in flight is the same for any number of spawners, so that only that number differs.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use roma_sandbox::launch::StartTimes;
use roma_sandbox::seccomp::FilterLevel;

use crate::Options;
use crate::host::{Host, Pool, read_message, write_message};

/// Requests in flight over all spawners. As many workers again are started ahead.
const IN_FLIGHT: usize = 4;

/// Returns the cycles per second.
pub fn measure(options: &Options, udf: &[u8], filter: FilterLevel, spawners: u16) -> f64 {
    let program = crate::sibling("run_workers");
    let mut host = Host::start(options.mode, &program);
    let pools: Vec<_> = host
        .load(udf, |load| {
            load.filter = filter;
            load.spawners = spawners;
        })
        .split();
    let time = options.time;
    let in_flight = IN_FLIGHT / usize::from(spawners);
    let threads: Vec<_> = pools
        .into_iter()
        .map(|pool| std::thread::spawn(move || cycles(pool, in_flight, time)))
        .collect();
    // All pools are kept until the last thread is done, because the end of the first spawner ends the others.
    let results: Vec<_> = threads
        .into_iter()
        .map(|thread| thread.join().expect("a count"))
        .collect();
    let count: u64 = results.iter().map(|(count, _pool)| count).sum();
    count as f64 / time.as_secs_f64()
}

fn cycles(mut pool: Pool, in_flight: usize, time: Duration) -> (u64, Pool) {
    let mut warm: VecDeque<_> = (0..2 * in_flight).map(|_| pool.spawn()).collect();
    let begun = Instant::now();
    let mut count = 0;
    while begun.elapsed() < time {
        let mut asked: Vec<_> = warm.drain(..in_flight).collect();
        warm.extend((0..in_flight).map(|_| pool.spawn()));
        for worker in &mut asked {
            worker.await_ready();
            write_message(&mut worker.data, crate::REQUEST.as_bytes());
        }
        for worker in &mut asked {
            assert!(!read_message(&mut worker.data).is_empty());
            pool.await_exit();
            count += 1;
        }
    }
    (count, pool)
}

/// Returns the median response time of a worker that is ready, and the median times of a start.
pub fn latency(options: &Options, udf: &[u8], filter: FilterLevel) -> (Duration, StartTimes) {
    let program = crate::sibling("run_workers");
    let mut host = Host::start(options.mode, &program);
    let begun = Instant::now();
    let mut pool = host.load(udf, |load| load.filter = filter);
    pool.spawn().await_ready();
    println!(
        "{filter:?}: first worker ready {:?} after the load; {:?}",
        begun.elapsed(),
        pool.ready[0]
    );
    pool.await_exit();
    let (mut asked, mut starts) = (Vec::new(), Vec::new());
    for _ in 0..300 {
        let mut worker = pool.spawn();
        worker.await_ready();
        // After writing that byte the worker has yet to start waiting for the request.
        std::thread::sleep(Duration::from_millis(1));
        let begun = Instant::now();
        write_message(&mut worker.data, crate::REQUEST.as_bytes());
        assert!(!read_message(&mut worker.data).is_empty());
        asked.push(begun.elapsed());
        starts.push(pool.exited(0).start);
    }
    let median = |of: fn(&StartTimes) -> u32| {
        let mut times: Vec<_> = starts.iter().map(of).collect();
        times.sort_unstable();
        times[times.len() / 2]
    };
    asked.sort_unstable();
    (
        asked[asked.len() / 2],
        StartTimes {
            clone_nanos: median(|start| start.clone_nanos),
            setup_nanos: median(|start| start.setup_nanos),
            exec_nanos: median(|start| start.exec_nanos),
        },
    )
}
