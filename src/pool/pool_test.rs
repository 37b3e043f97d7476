use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::thread::JoinHandle;

use roma_io::Seqpacket;
use roma_protocol::spawner::{FromSpawner, MESSAGE_BYTES, ToSpawner};
use roma_sandbox::fdpass;
use roma_sandbox::gate::Gate;
use roma_sandbox::step::{Step, StepFailure};

use super::*;
use crate::patience::Patience;

fn pool(options: PoolOptions) -> Arc<Pool> {
    Arc::new(Pool::new(CodeToken::new(1, 1), options).unwrap())
}

/// A pool whose spawner starts nothing.
fn pool_with_spawner(options: PoolOptions) -> (Arc<Pool>, OwnedFd) {
    let pool = pool(options);
    let (connection, inside) = Seqpacket::pair().unwrap();
    pool.open(&[Arc::new(Spawner::new(connection))], InForce::default());
    (pool, inside)
}

#[tokio::test]
async fn a_pool_that_was_closed_while_it_was_prepared_starts_nothing() {
    let pool = pool(PoolOptions::default());
    let (connection, theirs) = Seqpacket::pair().unwrap();
    pool.close(Error::Deleted);
    pool.open(&[Arc::new(Spawner::new(connection))], InForce::default());
    assert_eq!(nix::unistd::read(&theirs, &mut [0; 256]), Ok(0), "closed");
    assert_eq!(pool.status().started, 0);
}

#[tokio::test]
async fn a_worker_that_got_nothing_is_given_back_when_the_request_runs_out_of_patience() {
    let (pool, _inside) = pool_with_spawner(PoolOptions::default());
    let patience = Patience::new(Duration::from_millis(10));
    let error = pool.acquire_ready(patience, |_| Ok(())).await.unwrap_err();
    assert!(
        matches!(error, Error::NoWorker { cause: None, .. }),
        "{error:?}"
    );
    let counts = pool.status().counts;
    assert_eq!((counts.starting, counts.ending), (1, 0), "{counts:?}");
}

#[tokio::test]
async fn a_worker_that_is_late_is_killed_although_it_got_the_request() {
    let options = PoolOptions {
        start_timeout: Duration::from_millis(1),
        ..PoolOptions::default()
    };
    let (pool, _inside) = pool_with_spawner(options);
    let mut is_sent = false;
    let patience = Patience::new(Duration::from_secs(60));
    let acquired = pool.acquire_ready(patience, |_| {
        is_sent = true;
        Ok(())
    });
    acquired.await.unwrap_err();
    assert!(is_sent, "starts are expected to be short");
    let counts = pool.status().counts;
    assert!(counts.ending >= 1 && counts.ready == 0, "{counts:?}");
}

#[tokio::test]
async fn the_first_reason_for_closing_stays() {
    let pool = pool(PoolOptions::default());
    pool.close(Error::Deleted);
    pool.close(Error::ShutDown);
    assert!(matches!(pool.closed(), Some(Error::Deleted)));
    let error = pool.acquire_ready(Patience::new(Duration::from_secs(1)), |_| Ok(()));
    assert!(matches!(error.await, Err(Error::Deleted)));
}

#[tokio::test]
async fn a_drained_pool_waits_for_requests_in_flight_and_takes_no_more() {
    let (pool, _inside) = pool_with_spawner(PoolOptions::default());
    let lease = pool
        .acquire(Patience::new(Duration::from_secs(60)))
        .await
        .unwrap();
    assert!(
        !pool.drain(Error::ShutDown, Duration::from_millis(10)).await,
        "one is in flight"
    );
    let error = pool.acquire(Patience::new(Duration::from_secs(60))).await;
    assert!(matches!(error, Err(Error::ShutDown)));
    drop(lease);
}

/// Plays a spawner: worker 0 is ready at once, worker 1 fails as soon as worker 2 is ready.
fn play_spawner(connection: OwnedFd) -> JoinHandle<Vec<OwnedFd>> {
    std::thread::spawn(move || {
        let mut held = Vec::new();
        let mut packet = [0; MESSAGE_BYTES];
        loop {
            let received = fdpass::receive(connection.as_fd(), &mut packet, Gate::NONE).unwrap();
            let Ok(ToSpawner::Spawn(spawn)) = ToSpawner::decode(&packet[..received.bytes]) else {
                return held;
            };
            let mut descriptors = received.descriptors;
            let data = descriptors.remove(0);
            if spawn.worker != WorkerId(1) {
                // The test may be over.
                let _ = std::fs::File::from(data.try_clone().unwrap()).write_all(b"!");
            }
            if spawn.worker == WorkerId(2) {
                // With the process, its end of the connection is gone.
                held.remove(1);
                let failure = StepFailure {
                    step: Step::Exec,
                    errno: 1,
                };
                let failed = FromSpawner::Failed(WorkerId(1), failure).encode();
                let _ = fdpass::send(connection.as_fd(), &failed, &[]);
            }
            held.push(data);
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_was_sent_early_to_a_failed_worker_is_unsent_for_the_next_one() {
    let options = PoolOptions {
        max_live: 8,
        ..PoolOptions::default()
    };
    let pool = pool(options);
    let (connection, inside) = Seqpacket::pair().unwrap();
    let spawner = Arc::new(Spawner::new(connection));
    let played = play_spawner(inside);
    pool.open(&[Arc::clone(&spawner)], InForce::default());
    let follower = tokio::spawn({
        let (pool, spawner) = (Arc::clone(&pool), Arc::clone(&spawner));
        async move { pool.follow(&spawner, Duration::from_secs(60)).await }
    });
    pool.until_first_ready().await.unwrap();
    let patience = || Patience::new(Duration::from_secs(60));
    let (first, sent) = pool.acquire_ready(patience(), |_| Ok(())).await.unwrap();
    assert!(sent.is_none(), "it was ready");
    let mut early = Vec::new();
    let second = pool.acquire_ready(patience(), |worker| {
        early.push(worker.name);
        Ok(worker.name)
    });
    let (second, sent) = second.await.unwrap();
    assert_eq!(early.len(), 1, "to worker 1, which fails");
    assert_ne!(early[0], second.worker().name);
    assert_eq!(sent, None, "nothing was sent to this one");
    drop((first, second));
    pool.close(Error::ShutDown);
    follower.await.unwrap();
    played.join().unwrap();
}
