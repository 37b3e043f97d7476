//! Sandboxes are replaced when they are old or have grown, and no request is lost.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use roma_byob::{CodeToken, HostCall, LoadOptions, Renewal, Service};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use common::requests::assert_echoes;
use common::sandboxes::{control_groups, processes_in_run_dir};
use common::{GVISOR_STRICT, MINIMAL_STRICT, TestBed, patient, run, udf, until, workers};

/// Makes a test in minimal mode and one in gVisor.
macro_rules! in_both_modes {
    ($(async fn $name:ident($bed:ident: TestBed) $body:block)*) => {$(
        mod $name {
            use super::*;

            async fn test($bed: TestBed) $body

            #[test]
            fn minimal() { run(MINIMAL_STRICT, test) }
            #[test]
            fn gvisor() { run(GVISOR_STRICT, test) }
        }
    )*};
}

/// Replaces sandboxes every second.
fn short_lived() -> Renewal {
    Renewal {
        age: Some(Duration::from_secs(1)),
        ..Renewal::default()
    }
}

fn of(service: &Service) -> Vec<u32> {
    service.sandbox_processes()
}

/// Waits until each sandbox is another one.
async fn until_replaced(service: &Service) {
    let before = of(service);
    let is_new = || {
        let now = of(service);
        now.len() == before.len() && now.iter().all(|process| !before.contains(process))
    };
    until("the sandboxes are replaced", is_new).await;
}

async fn load(service: &Service, options: LoadOptions) -> CodeToken {
    service.load(udf("misbehaving_udf"), options).await.unwrap()
}

/// Keeps clients asking until it is told to stop, and returns how many answers they got.
struct Clients {
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicUsize>,
    tasks: JoinSet<()>,
}

impl Clients {
    fn start(count: usize, service: &Service, code: CodeToken) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let answers = Arc::<AtomicUsize>::default();
        let mut tasks = JoinSet::new();
        for _ in 0..count {
            let (stop, answers) = (Arc::clone(&stop), Arc::clone(&answers));
            let service = service.clone();
            tasks.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    assert_echoes(&service, &code).await;
                    answers.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        Self {
            stop,
            answers,
            tasks,
        }
    }

    async fn stop(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        // A request that failed has panicked.
        self.tasks.join_all().await;
        self.answers.load(Ordering::Relaxed)
    }
}

in_both_modes! {
    async fn no_request_is_lost_while_sandboxes_are_replaced(bed: TestBed) {
        let builder = bed.builder_of_two_sandboxes().renewal(short_lived());
        let service = builder.start().await.unwrap();
        let (one, two) = (load(&service, workers(4)).await, load(&service, workers(1)).await);
        let clients = [Clients::start(4, &service, one), Clients::start(1, &service, two)];
        for _ in 0..3 {
            until_replaced(&service).await;
        }
        for clients in clients {
            assert!(clients.stop().await > 0);
        }
        for code in [one, two] {
            assert!(service.status(&code).unwrap().failure.is_none());
        }
        service.shutdown().await;
    }

    async fn a_request_in_flight_ends_in_the_sandbox_that_is_being_replaced(bed: TestBed) {
        let go_on = Arc::new(Notify::new());
        let may_go_on = Arc::clone(&go_on);
        let service = bed
            .builder()
            .renewal(short_lived())
            .host_function("wait", move |_: HostCall| {
                let may_go_on = Arc::clone(&may_go_on);
                async move {
                    may_go_on.notified().await;
                    Ok("went on".into())
                }
            })
            .host_call_limits(patient_calls())
            .start()
            .await
            .unwrap();
        let code = load(&service, workers(1).calling_host()).await;
        let old = of(&service)[0];
        let long = tokio::spawn(service.execute(&code, "call wait", patient()));
        until_replaced(&service).await;
        assert_echoes(&service, &code).await;
        assert!(common::processes::all().any(|pid| pid.as_raw() as u32 == old));
        go_on.notify_one();
        let answer = long.await.unwrap().unwrap();
        assert!(answer.ends_with(b"went on"), "{answer:?}");
        let is_gone = || !common::processes::all().any(|pid| pid.as_raw() as u32 == old);
        until("the old sandbox is gone", is_gone).await;
        service.shutdown().await;
    }

    async fn code_is_loaded_and_deleted_while_sandboxes_are_replaced(bed: TestBed) {
        let service = bed.builder().renewal(short_lived()).start().await.unwrap();
        let first = of(&service);
        let mut rounds = 0;
        while rounds < 8 || of(&service) == first {
            let code = load(&service, workers(2)).await;
            assert_echoes(&service, &code).await;
            service.delete(&code).await.unwrap();
            rounds += 1;
        }
        service.shutdown().await;
        assert_eq!(processes_in_run_dir(&bed).count(), 0);
    }

    async fn a_shutdown_ends_a_sandbox_that_is_being_replaced(bed: TestBed) {
        let service = bed.builder().renewal(short_lived()).start().await.unwrap();
        let code = load(&service, workers(1)).await;
        let old = nix::unistd::Pid::from_raw(of(&service)[0] as i32);
        let hung = common::requests::start_hung_request(&service, &code).await;
        until_replaced(&service).await;
        service.shutdown().await;
        hung.await.unwrap().unwrap_err();
        assert!(!common::processes::all().any(|pid| pid == old));
        assert_eq!(control_groups(old), 0);
        assert_eq!(processes_in_run_dir(&bed).count(), 0);
    }

    async fn code_is_deleted_while_its_request_keeps_an_old_sandbox(bed: TestBed) {
        let service = bed.builder().renewal(short_lived()).start().await.unwrap();
        let code = load(&service, workers(1)).await;
        let old = of(&service)[0];
        let hung = common::requests::start_hung_request(&service, &code).await;
        until_replaced(&service).await;
        service.delete(&code).await.unwrap();
        hung.await.unwrap().unwrap_err();
        let is_gone = || !common::processes::all().any(|pid| pid.as_raw() as u32 == old);
        until("the old sandbox is gone", is_gone).await;
        service.shutdown().await;
    }
}

fn patient_calls() -> roma_byob::HostCallLimits {
    roma_byob::HostCallLimits {
        deadline: common::PATIENCE,
        ..Default::default()
    }
}
