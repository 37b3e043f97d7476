//! Other code in the same sandbox, whose requests hold secrets.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use roma_byob::{CodeToken, Service};
use roma_sample_proto::roma::example::{EchoRequest, EchoResponse};

use crate::canary;
use crate::common::{patient, udf, workers};
use crate::standing::WORKERS;

pub struct Neighbour {
    service: Service,
    pub code: CodeToken,
    /// Makes large numbers, which are no mere counts.
    owners: RandomState,
    asked: AtomicU64,
}

impl Neighbour {
    pub async fn load(service: &Service) -> Self {
        let code = service
            .load(udf("echo_udf"), workers(WORKERS))
            .await
            .unwrap();
        Self {
            service: service.clone(),
            code,
            owners: RandomState::new(),
            asked: AtomicU64::new(0),
        }
    }

    /// Sends request after request until `other` ends, and one more. Returns their number.
    pub async fn asked_during(&self, other: impl Future<Output = ()>) -> u64 {
        let mut other = std::pin::pin!(other);
        let mut answered = 0;
        loop {
            tokio::select! {
                biased;
                () = &mut other => break,
                () = self.ask() => answered += 1,
            }
        }
        self.ask().await;
        answered + 1
    }

    /// Sends one request and asserts that its answer is right.
    pub async fn ask(&self) {
        let owner = self
            .owners
            .hash_one(self.asked.fetch_add(1, Ordering::Relaxed));
        canary::register(owner);
        let message = canary::of(owner).into_bytes();
        let request = EchoRequest {
            message: message.clone(),
        };
        let execution = self.service.call(&self.code, &request, patient());
        let answer: EchoResponse = execution.await.unwrap();
        assert_eq!(answer.message, message);
    }
}
