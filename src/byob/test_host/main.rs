//! Runs a service with a request that never ends, until it is killed. The arguments are the mode, the
//! folder for its files and a UDF that drips. It prints a line with the number of the sandbox's process
//! when all of that is under way.

use std::time::Duration;

use anyhow::Context;
use roma_byob::{ExecuteOptions, LoadOptions, Mode, Platform, PoolLimits, Service};

const FOREVER: Duration = Duration::from_secs(1 << 20);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().context("three arguments are needed");
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
    println!("{}", processes.first().context("no sandbox")?);
    execution.await??;
    Ok(())
}
