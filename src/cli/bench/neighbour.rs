//! Hostile code that runs beside a measurement.

use bytes::Bytes;
use roma_byob::{CodeToken, Error, ExecuteOptions, LoadOptions, PoolLimits, Service};
use tokio::task::JoinSet;

use super::PATIENCE;
use crate::samples::hostile;

/// Requests that use the processor, use memory and leave processes behind.
const TRICKS: [&str; 3] = ["burn", "hoard", "daemon"];

/// The resources of a neighbour.
#[derive(Debug, Clone, Copy)]
pub struct Tenancy {
    /// The number of its processes that run at any time.
    pub processes: u32,
    /// Thousandths of a core for all of them, if the machine can limit that.
    pub cpu_millis: Option<u64>,
}

/// Another pool under load.
#[derive(Debug)]
pub struct Neighbour {
    code: CodeToken,
    tasks: JoinSet<()>,
}

impl Neighbour {
    /// Loads the code and sends it requests.
    pub async fn move_in(service: &Service, udf: Bytes, tenancy: Tenancy) -> Result<Self, Error> {
        let code = service.load(udf, options(tenancy)).await?;
        let mut tasks = JoinSet::new();
        for number in 0..tenancy.processes {
            tasks.spawn(offend(service.clone(), code, number as usize));
        }
        Ok(Self { code, tasks })
    }

    /// Stops the requests and deletes the code.
    pub async fn move_out(mut self, service: &Service) -> Result<(), Error> {
        self.tasks.shutdown().await;
        service.delete(&self.code).await
    }
}

fn options(tenancy: Tenancy) -> LoadOptions {
    LoadOptions {
        name: "neighbour".into(),
        limits: hostile::limits(),
        pool_limits: PoolLimits {
            cpu_millis: tenancy.cpu_millis,
            ..PoolLimits::default()
        },
        max_live: Some(tenancy.processes.saturating_mul(2)),
        ..LoadOptions::with_workers(tenancy.processes)
    }
}

async fn offend(service: Service, code: CodeToken, first: usize) {
    let options = ExecuteOptions {
        queue_timeout: PATIENCE,
        deadline: hostile::LIFE,
        ..Default::default()
    };
    for trick in TRICKS.iter().cycle().skip(first) {
        // Its failures do not matter.
        let _ = service.execute(&code, *trick, options.clone()).await;
    }
}
