//! Runs a service with a request that never ends, until it is killed. The arguments are the mode, the run
//! folder and the path of `misbehaving_udf`. Prints the process ID of the sandbox on a line when the
//! request runs.

use std::time::Duration;

use anyhow::Context;
use roma_byob::{ExecuteOptions, LoadOptions, Mode, Platform, PoolLimits, Service};

const FOREVER: Duration = Duration::from_secs(1 << 20);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || {
        arguments
            .next()
            .context("usage: test_host MODE RUN_DIR UDF")
    };
    let mode: Mode = next()?.parse()?;
    let mut builder = Service::builder()
        .mode(mode)
        .run_dir(next()?)
        .obey_environment(false);
    if mode.is_gvisor() {
        builder = builder.platform(Platform::Systrap);
    }
    let service = builder.start().await?;
    let options = LoadOptions {
        pool_limits: PoolLimits {
            processes: Some(100),
            ..PoolLimits::default()
        },
        ..LoadOptions::with_workers(2)
    };
    let code = service.load(next()?.as_str(), options).await?;
    let endless = ExecuteOptions {
        deadline: FOREVER,
        ..ExecuteOptions::default()
    };
    let execution = tokio::spawn(service.execute(&code, "drip", endless));
    while service.status(&code)?.counts.busy == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let processes = service.sandbox_processes();
    let sandbox = processes.first().context("the service has no sandbox")?;
    println!("{sandbox}");
    execution.await??;
    Ok(())
}
