//! The code that makes random calls, and the requests to it.

use std::time::Duration;

use roma_byob::{CodeToken, ExecuteOptions, LoadOptions, Logs, Service};
use tokio::task::JoinSet;

use crate::canary;
use crate::common::{TestBed, is_root, patient, udf, workers};
use crate::figures::Figures;
use crate::plan::Request;
use crate::standing::WORKERS;

/// The deadline of a request whose first process ends or hangs sooner or later.
const SHORT: Duration = Duration::from_millis(500);
/// The deadline of a request that ends by itself.
const LONG: Duration = Duration::from_secs(8);

pub struct Storm {
    service: Service,
    pub code: CodeToken,
}

impl Storm {
    pub async fn load(bed: &TestBed, service: &Service) -> Self {
        let code = service.load(udf("random_calls_udf"), options(bed)).await;
        Self {
            service: service.clone(),
            code: code.unwrap(),
        }
    }

    /// Sends a request that makes no calls.
    pub async fn ask(&self) {
        let answer = self
            .service
            .execute(&self.code, "rounds=0", patient())
            .await;
        assert!(answer.unwrap().starts_with(b"processes=0 "));
    }

    /// Sends a request that finds the mark of another one in its memory. Returns the answer.
    pub async fn plant_mark(&self) -> String {
        let text = "seed=1 calls=0 planted=2 first_process=1";
        let answer = self.service.execute(&self.code, text, patient()).await;
        String::from_utf8(answer.unwrap().to_vec()).unwrap()
    }

    /// Sends requests at the same time, and waits until their processes are gone.
    pub async fn rage(&self, batch: &[Request], figures: &mut Figures) {
        let mut running = JoinSet::new();
        for request in batch.iter().cloned() {
            let options = ExecuteOptions {
                deadline: if request.first_process { SHORT } else { LONG },
                ..patient()
            };
            canary::register(request.seed);
            let text = request.text.clone();
            let execution = self.service.execute(&self.code, text, options);
            running.spawn(async move { (request, execution.outcome().await) });
        }
        while let Some(ended) = running.join_next().await {
            let (request, outcome) = ended.unwrap();
            // The answer, or an error, and what was printed.
            let found = canary::foreign(&format!("{outcome:?}"), request.seed);
            assert!(found.is_empty(), "{request:?} learned of {found:?}");
            figures.add(&request, &outcome);
        }
    }
}

/// Everything that a UDF can have, in amounts that the machine can spare.
fn options(bed: &TestBed) -> LoadOptions {
    let mut options = LoadOptions {
        logs: Logs::Tail { max_bytes: 1 << 16 },
        private_tmp: Some(1 << 20),
        // Without gVisor an ordinary user cannot mount it.
        proc: bed.is_gvisor() || is_root(),
        ..workers(WORKERS)
    };
    options.limits.address_space = Some(128 << 20);
    options.limits.data = Some(64 << 20);
    options.limits.file_size = Some(1 << 20);
    options
}
