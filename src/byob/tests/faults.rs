//! Faults at each stage in the life of a worker, a sandbox and a service: which error the caller gets,
//! that the service recovers, and that it leaves no traces.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::mount::{MsFlags, mount, umount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use roma_byob::{
    CodeToken, Error, ExecuteOptions, ExitStatus, Fault, GrpcCode, LibraryMount, Limits,
    LoadOptions, PoolLimits, ResponseError, Service, ServiceBuilder,
};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use common::processes::{descendants, has_ended};
use common::requests::{assert_echoes, assert_echoes_again, start_hung_request, until_ready};
use common::sandboxes::{control_groups, processes_without_workers, sandbox_process};
use common::traces::run_without_traces;
use common::{
    GVISOR_STRICT, MINIMAL_STRICT, PATIENCE, TestBed, block_until, is_root, patient, program, udf,
    until, workers,
};

/// Makes a test in minimal mode and one in gVisor, which must leave no traces.
macro_rules! in_both_modes {
    ($(async fn $name:ident($bed:ident: TestBed) $body:block)*) => {$(
        mod $name {
            use super::*;

            async fn test($bed: TestBed) $body

            #[test]
            fn minimal() { run_without_traces(MINIMAL_STRICT, test) }
            #[test]
            fn gvisor() { run_without_traces(GVISOR_STRICT, test) }
        }
    )*};
}

/// A folder that UDFs see, with a file that tells new workers how to behave.
struct Behaviour(TempDir);

impl Behaviour {
    fn new() -> Self {
        let behaviour = Self(tempfile::tempdir().unwrap());
        behaviour.set("");
        behaviour
    }

    fn set(&self, behaviour: &str) {
        let new = self.0.path().join("new");
        fs::write(&new, behaviour).unwrap();
        fs::rename(new, self.0.path().join("current")).unwrap();
    }

    fn library(&self) -> LibraryMount {
        LibraryMount::at(self.0.path(), "/behaviour")
    }

    fn options(count: u32) -> LoadOptions {
        LoadOptions {
            args: vec!["from file".into()],
            ..workers(count)
        }
    }
}

fn impatient() -> ExecuteOptions {
    ExecuteOptions {
        queue_timeout: Duration::from_millis(100),
        ..patient()
    }
}

/// Sends requests until one gets no worker because of a fault. Returns its error.
async fn no_worker_error(service: &Service, code: &CodeToken) -> Error {
    loop {
        match service.execute(code, "good", impatient()).await {
            Err(error @ Error::NoWorker { cause: Some(_), .. }) => return error,
            Err(Error::NoWorker { cause: None, .. }) | Ok(_) => {}
            Err(error) => assert!(
                error.retryable() || error.fault() == Fault::Udf,
                "{error:?}"
            ),
        }
    }
}

in_both_modes! {
    async fn crash_loops_back_off_are_reported_and_recover_without_a_request(bed: TestBed) {
        let behaviour = Behaviour::new();
        let service = bed.builder().library(behaviour.library()).start().await.unwrap();
        let options = LoadOptions { start_timeout: Duration::from_secs(4), ..Behaviour::options(2) };
        let code = service.load(udf("misbehaving_udf"), options).await.unwrap();
        for fault in ["crash", "die idle", "never ready"] {
            until_ready(&service, &code, 2).await;
            behaviour.set(fault);
            // Workers that were ready before still serve; those that replace them have the fault.
            for _ in 0..2 {
                let _ = service.execute(&code, "good", impatient()).await;
            }
            until("the pool is not healthy", || !service.status(&code).unwrap().is_healthy()).await;
            let failure = service.status(&code).unwrap().failure.unwrap();
            assert_eq!(failure.fault(), Fault::Udf, "{fault}: {failure:?}");
            // A worker that serves a request before it dies makes the pool healthy for a while.
            if fault != "die idle" {
                let error = no_worker_error(&service, &code).await;
                assert_eq!(error.fault(), Fault::Udf, "{fault}: {error:?}");
                assert!(!error.retryable() && error.grpc_code() == GrpcCode::Unavailable);
            }
            let started = service.status(&code).unwrap().started;
            sleep(Duration::from_secs(1)).await;
            let more = service.status(&code).unwrap().started - started;
            assert!(more < 20, "{fault}: started {more} workers in about a second");
            behaviour.set("");
            until("the pool is healthy", || service.status(&code).unwrap().is_healthy()).await;
            assert_echoes(&service, &code).await;
        }
        service.shutdown().await;
    }

    async fn a_crash_loop_without_a_readiness_byte_backs_off(bed: TestBed) {
        let behaviour = Behaviour::new();
        behaviour.set("silent");
        let service = bed.builder().library(behaviour.library()).start().await.unwrap();
        let options =
            LoadOptions { readiness: roma_byob::Readiness::None, ..Behaviour::options(2) };
        let code = service.load(udf("misbehaving_udf"), options).await.unwrap();
        until_ready(&service, &code, 2).await;
        behaviour.set("exit");
        while service.status(&code).unwrap().is_healthy() {
            // The request may get a worker that is about to exit.
            let _ = service.execute(&code, "good", impatient()).await;
        }
        let started = service.status(&code).unwrap().started;
        sleep(Duration::from_secs(1)).await;
        let more = service.status(&code).unwrap().started - started;
        assert!(more < 20, "started {more} workers in about a second");
        behaviour.set("silent");
        until("the pool is healthy", || service.status(&code).unwrap().is_healthy()).await;
        assert_echoes(&service, &code).await;
        service.shutdown().await;
    }

    async fn a_half_read_request_or_half_written_response_is_the_udfs_fault(bed: TestBed) {
        let behaviour = Behaviour::new();
        let service = bed.builder().library(behaviour.library()).start().await.unwrap();
        let options = LoadOptions { max_live: Some(1), ..Behaviour::options(1) };
        let large = || vec![b'x'; 8 << 20];
        let short = ExecuteOptions { deadline: Duration::from_millis(300), ..patient() };
        behaviour.set("half a read");
        let code = service.load(udf("misbehaving_udf"), options).await.unwrap();
        let error = service.execute(&code, large(), patient()).await.unwrap_err();
        assert_eq!(error.exit().unwrap().status, ExitStatus::Code(5), "{error:?}");
        // The next worker has started already, and behaves like the last one.
        behaviour.set("half a read and hang");
        let _ = service.execute(&code, large(), patient()).await.unwrap_err();
        until_ready(&service, &code, 1).await;
        behaviour.set("");
        let error = service.execute(&code, large(), short.clone()).await.unwrap_err();
        assert!(matches!(error, Error::Deadline { .. }), "{error:?}");
        let error = service.execute(&code, "stall", short).await.unwrap_err();
        assert!(matches!(error, Error::Deadline { .. }), "{error:?}");
        let error = service.execute(&code, "truncated", patient()).await.unwrap_err();
        assert!(matches!(error, Error::Response(ResponseError::Truncated)), "{error:?}");
        assert_eq!(error.fault(), Fault::Udf);
        assert_echoes(&service, &code).await;
        service.shutdown().await;
    }

    async fn when_any_sandbox_process_is_killed_the_next_request_is_served(bed: TestBed) {
        let service = bed.service().await;
        let options = LoadOptions {
            pool_limits: PoolLimits { processes: Some(100), ..PoolLimits::default() },
            ..workers(2)
        };
        let code = service.load(udf("misbehaving_udf"), options).await.unwrap();
        let mut sandboxes = Vec::new();
        for turn in 0.. {
            until_ready(&service, &code, 1).await;
            let request = start_hung_request(&service, &code).await;
            // A worker that is being started still looks like its spawner.
            until_ready(&service, &code, 2).await;
            let processes = processes_without_workers(&bed, &service);
            assert!(processes.len() >= 3, "{processes:?}");
            let Some(victim) = processes.get(turn) else {
                request.abort();
                break;
            };
            sandboxes.push(sandbox_process(&service));
            kill(*victim, Signal::SIGKILL).unwrap();
            let error = request.await.unwrap().unwrap_err();
            assert!(matches!(error, Error::SandboxDied(_)), "{turn}: {error:?}");
            assert_eq!(error.fault(), Fault::Sandbox);
            assert!(error.retryable() && error.grpc_code() == GrpcCode::Unavailable);
            assert_echoes_again(&service, &code).await;
        }
        service.shutdown().await;
        for sandbox in sandboxes {
            block_until("its control groups are gone", || control_groups(sandbox) == 0);
        }
    }

    async fn a_stopped_sandbox_process_is_replaced(bed: TestBed) {
        let builder = bed.builder().watchdog(Duration::from_secs(2));
        let service = builder.start().await.unwrap();
        let code = service.load(udf("misbehaving_udf"), workers(2)).await.unwrap();
        let mut noticed = 0;
        for turn in 0.. {
            until_ready(&service, &code, 2).await;
            let processes = processes_without_workers(&bed, &service);
            let Some(victim) = processes.get(turn) else { break };
            kill(*victim, Signal::SIGSTOP).unwrap();
            let mut request = start_hung_request(&service, &code).await;
            // Some processes only wait for others to end; the watchdog does not watch them.
            if let Ok(ended) = timeout(Duration::from_secs(6), &mut request).await {
                let error = ended.unwrap().unwrap_err();
                assert!(matches!(error, Error::SandboxDied(_)), "{turn}: {error:?}");
                assert!(error.to_string().contains("did not answer the watchdog"), "{error}");
                assert!(error.retryable());
                noticed += 1;
            } else {
                kill(*victim, Signal::SIGCONT).unwrap();
                request.abort();
            }
            assert_echoes_again(&service, &code).await;
        }
        // gVisor's kernel; in minimal mode the process that starts pools, and the spawners of the pool.
        let minimum = if bed.is_gvisor() { 1 } else { 3 };
        assert!(noticed >= minimum, "{noticed}");
        service.shutdown().await;
    }

    async fn a_shutdown_during_a_restart_leaves_nothing(bed: TestBed) {
        for pause in [0, 10, 50, 110, 150, 200, 300] {
            let service = bed.service().await;
            let code = service.load(udf("misbehaving_udf"), workers(1)).await.unwrap();
            kill(sandbox_process(&service), Signal::SIGKILL).unwrap();
            sleep(Duration::from_millis(pause)).await;
            service.shutdown().await;
            let left: Vec<_> = fs::read_dir(bed.run_dir.path()).unwrap().flatten().collect();
            assert!(left.is_empty(), "after {pause} ms: {left:?}");
            let error = service.execute(&code, "good", patient()).await.unwrap_err();
            assert!(matches!(error, Error::ShutDown), "{error:?}");
        }
    }

    async fn code_deleted_while_it_is_prepared_leaves_no_spawner(bed: TestBed) {
        let service = bed.service().await;
        let without_pools = processes_without_workers(&bed, &service).len();
        let binary = fs::read(udf("misbehaving_udf")).unwrap();
        for pause in 0..40 {
            let load = service.load(binary.clone(), workers(1));
            let loaded = tokio::time::timeout(Duration::from_millis(pause), load).await;
            if let Ok(code) = loaded {
                service.delete(&code.unwrap()).await.unwrap();
            }
            assert!(service.list().is_empty());
        }
        let no_spawner = || processes_without_workers(&bed, &service).len() == without_pools;
        until("no spawner is left", no_spawner).await;
        let code = service.load(binary, workers(1)).await.unwrap();
        kill(sandbox_process(&service), Signal::SIGKILL).unwrap();
        service.delete(&code).await.unwrap();
        until("there is a sandbox", || !service.sandbox_processes().is_empty()).await;
        until("no spawner is left", no_spawner).await;
        service.shutdown().await;
    }

    async fn the_next_service_clears_away_what_a_killed_host_left(bed: TestBed) {
        for _ in 0..2 {
            let mut host = Command::new(program("ROMA_TEST_HOST"))
                .args([&bed.mode.to_string(), bed.run_dir.path().to_str().unwrap()])
                .arg(udf("misbehaving_udf"))
                .env("ROMA_RUN_WORKERS", program("ROMA_RUN_WORKERS"))
                .env("ROMA_RUNSC", program("ROMA_RUNSC"))
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut line = String::new();
            BufReader::new(host.stdout.take().unwrap()).read_line(&mut line).unwrap();
            let sandbox = Pid::from_raw(line.trim().parse().unwrap());
            let processes = descendants(Pid::from_raw(host.id() as i32));
            assert!(processes.contains(&sandbox) && processes.len() > 2, "{processes:?}");
            host.kill().unwrap();
            host.wait().unwrap();
            let service = bed.service().await;
            assert_eq!(fs::read_dir(bed.run_dir.path()).unwrap().count(), 2);
            let code = service.load(udf("misbehaving_udf"), workers(1)).await.unwrap();
            assert_echoes(&service, &code).await;
            // Orphans are children of this process now; it has not waited for them.
            let ended = || processes.iter().all(|pid| has_ended(*pid));
            until("its processes have ended", ended).await;
            until("its control groups are gone", || control_groups(sandbox) == 0).await;
            service.shutdown().await;
        }
    }

    async fn exhausted_descriptors_are_the_hosts_fault_and_service_recovers(bed: TestBed) {
        let service = bed.service().await;
        let code = service.load(udf("misbehaving_udf"), workers(2)).await.unwrap();
        until_ready(&service, &code, 2).await;
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, 3, hard).unwrap();
        let error = no_worker_error(&service, &code).await;
        let load = service.load(code, workers(1)).await;
        setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
        assert_eq!(error.fault(), Fault::Host, "{error:?}");
        assert!(error.retryable(), "{error:?}");
        let error = load.unwrap_err();
        assert_eq!((error.fault(), error.errno()), (Fault::Host, Some(nix::libc::EMFILE)));
        until("the pool is healthy", || service.status(&code).unwrap().is_healthy()).await;
        assert_echoes(&service, &code).await;
        assert_eq!(service.list().len(), 1);
        service.shutdown().await;
    }

    async fn workers_leave_descriptors_to_the_rest_of_this_process(bed: TestBed) {
        let service = bed.service().await;
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, 256, hard).unwrap();
        let code = service.load(udf("misbehaving_udf"), workers(400)).await.unwrap();
        until("no worker more is started", || !service.status(&code).unwrap().is_healthy()).await;
        let opened: Vec<_> = (0..20).map(|_| fs::File::open("/dev/null")).collect();
        let failure = service.status(&code).unwrap().failure.unwrap();
        // It is prepared, but there is no room for its workers.
        let hasty = LoadOptions { start_timeout: Duration::from_millis(500), ..workers(1) };
        let other = service.load(code, hasty).await;
        for _ in 0..3 {
            assert_echoes(&service, &code).await;
        }
        setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
        assert_eq!((failure.fault(), failure.errno()), (Fault::Host, Some(nix::libc::EMFILE)));
        assert!(opened.iter().all(Result::is_ok), "{opened:?}");
        let other = other.unwrap_err();
        assert!(other.fault() == Fault::Host && other.retryable(), "{other:?}");
        drop(opened);
        service.shutdown().await;
    }

    async fn a_sandbox_killed_while_descriptors_are_exhausted_is_replaced(bed: TestBed) {
        let service = bed.service().await;
        let code = service.load(udf("misbehaving_udf"), workers(1)).await.unwrap();
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, 3, hard).unwrap();
        kill(sandbox_process(&service), Signal::SIGKILL).unwrap();
        let error = no_worker_error(&service, &code).await;
        let healthy = service.status(&code).unwrap().is_healthy();
        setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
        assert!(error.retryable() && !healthy, "{error:?}");
        assert_ne!(error.fault(), Fault::Caller, "{error:?}");
        assert_echoes_again(&service, &code).await;
        service.shutdown().await;
    }

    async fn timeouts_of_any_length_are_accepted(bed: TestBed) {
        let service = bed.service().await;
        let options = LoadOptions {
            start_timeout: Duration::MAX,
            exit_grace: Duration::MAX,
            ..workers(1)
        };
        let code = service.load(udf("misbehaving_udf"), options).await.unwrap();
        let endless = ExecuteOptions {
            queue_timeout: Duration::MAX,
            deadline: Duration::MAX,
            ..patient()
        };
        for _ in 0..3 {
            assert_eq!(service.execute(&code, "good", endless.clone()).await.unwrap(), "good");
        }
        service.shutdown().await;
    }
}

/// Runs a test with a small file system in memory on its run folder. A thread with a mount namespace of
/// its own runs it; the threads of the runtime inherit that namespace.
fn on_a_small_disk<F: Future<Output = ()>>(
    sandbox: usize,
    size: &'static str,
    test: impl FnOnce(TestBed) -> F + Send + 'static,
) {
    let run = move || {
        run_without_traces(sandbox, async |bed| {
            let folder = bed.run_dir.path().to_owned();
            let disk = Some(size);
            mount(Some("roma"), &folder, Some("tmpfs"), MsFlags::empty(), disk).unwrap();
            test(bed).await;
            // A process that was killed last may still be ending.
            block_until("no process uses the folder", || umount(&folder).is_ok());
        });
    };
    // Only root may mount.
    if !is_root() {
        return;
    }
    std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
        run();
    })
    .join()
    .unwrap();
}

async fn assert_start_needs_space(builder: ServiceBuilder, run_dir: &Path) {
    let error = builder.start().await.unwrap_err();
    assert!(matches!(error, Error::SandboxStart(_)), "{error:?}");
    assert!(error.to_string().contains("No space left"), "{error}");
    assert_eq!(fs::read_dir(run_dir).unwrap().count(), 0);
}

async fn full_disk_is_reported_and_recovered(bed: TestBed, larger: &'static str) {
    let run_dir = bed.run_dir.path().to_owned();
    assert_start_needs_space(bed.builder(), &run_dir).await;
    mount(
        None::<&str>,
        &run_dir,
        None::<&str>,
        MsFlags::MS_REMOUNT,
        Some(larger),
    )
    .unwrap();
    let service = bed.service().await;
    let code = service
        .load(udf("misbehaving_udf"), workers(1))
        .await
        .unwrap();
    let filler = run_dir.join("filler");
    fs::create_dir(&filler).unwrap();
    for number in 0.. {
        let file = filler.join(number.to_string());
        if fs::write(file, vec![1; 1 << 20]).is_err() && number > 200 {
            break;
        }
    }
    assert_echoes(&service, &code).await;
    kill(sandbox_process(&service), Signal::SIGKILL).unwrap();
    let error = no_worker_error(&service, &code).await;
    assert!(
        error.retryable() && error.fault() != Fault::Caller,
        "{error:?}"
    );
    fs::remove_dir_all(filler).unwrap();
    assert_echoes_again(&service, &code).await;
    service.shutdown().await;
    assert_eq!(fs::read_dir(run_dir).unwrap().count(), 0);
}

#[test]
fn a_full_disk_is_reported_and_recovered_in_gvisor() {
    on_a_small_disk(GVISOR_STRICT, "size=256k,mode=700", |bed| {
        full_disk_is_reported_and_recovered(bed, "size=64m")
    });
}

#[test]
fn a_full_disk_is_reported_and_recovered_without_gvisor() {
    on_a_small_disk(MINIMAL_STRICT, "nr_inodes=2,mode=700", |bed| {
        full_disk_is_reported_and_recovered(bed, "nr_inodes=100")
    });
}

/// A stopped spawner reads nothing from its connection, which holds only a few packets.
#[test]
fn ready_workers_serve_while_their_spawners_are_stopped() {
    run_without_traces(MINIMAL_STRICT, async |bed: TestBed| {
        let service = bed.builder().watchdog(PATIENCE).start().await.unwrap();
        let code = service
            .load(udf("misbehaving_udf"), workers(60))
            .await
            .unwrap();
        until_ready(&service, &code, 60).await;
        let processes = processes_without_workers(&bed, &service);
        let signal = |signal| processes.iter().for_each(|pid| kill(*pid, signal).unwrap());
        signal(Signal::SIGSTOP);
        for _ in 0..60 {
            let at_once = ExecuteOptions {
                queue_timeout: Duration::ZERO,
                ..patient()
            };
            assert_eq!(
                service.execute(&code, "good", at_once).await.unwrap(),
                "good"
            );
        }
        let error = service
            .execute(&code, "good", impatient())
            .await
            .unwrap_err();
        assert!(
            matches!(error, Error::NoWorker { cause: None, .. }),
            "{error:?}"
        );
        assert!(error.retryable());
        signal(Signal::SIGCONT);
        assert_echoes(&service, &code).await;
        until_ready(&service, &code, 60).await;
        service.shutdown().await;
    });
}

/// Control groups limit what all processes of a pool use together.
#[test]
fn exhausted_processes_and_memory_are_reported_and_recovered() {
    run_without_traces(MINIMAL_STRICT, async |bed: TestBed| {
        let service = bed.service().await;
        let mut limits = Limits::default();
        // Without control groups, this limit ends `hoard`.
        limits.address_space = Some(1 << 30);
        let options = LoadOptions {
            limits,
            spawners: Some(1),
            max_live: Some(8),
            pool_limits: PoolLimits {
                // Two workers, their spawner and the process that makes their roots.
                processes: Some(4),
                memory: Some(64 << 20),
                ..PoolLimits::default()
            },
            ..workers(1)
        };
        let code = service.load(udf("misbehaving_udf"), options).await.unwrap();
        let limited = control_groups(sandbox_process(&service)) > 0;
        if limited {
            let (one, two) = (
                start_hung_request(&service, &code).await,
                start_hung_request(&service, &code).await,
            );
            let error = no_worker_error(&service, &code).await;
            assert_eq!(error.fault(), Fault::Sandbox, "{error:?}");
            assert!(error.retryable(), "{error:?}");
            one.abort();
            two.abort();
            assert_echoes_again(&service, &code).await;
        }
        for _ in 0..3 {
            let error = service
                .execute(&code, "hoard", patient())
                .await
                .unwrap_err();
            assert!(
                matches!(error, Error::Died { .. }) || error.retryable(),
                "{error:?}"
            );
            assert_echoes_again(&service, &code).await;
        }
        service.shutdown().await;
    });
}
