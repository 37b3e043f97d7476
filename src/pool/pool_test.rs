use roma_io::Seqpacket;

use super::*;

fn pool(options: PoolOptions) -> Arc<Pool> {
    Arc::new(Pool::new(CodeToken::new(1, 1), options))
}

/// A pool whose spawner starts nothing.
fn pool_with_spawner(options: PoolOptions) -> (Arc<Pool>, std::os::fd::OwnedFd) {
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
    let error = pool
        .acquire_ready(patience, |_| Ok(false))
        .await
        .unwrap_err();
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
        Ok(true)
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
    let error = pool.acquire_ready(Patience::new(Duration::from_secs(1)), |_| Ok(false));
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
