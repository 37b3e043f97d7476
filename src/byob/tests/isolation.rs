//! What a UDF cannot do, reported by UDFs that try.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use roma_byob::{Service, SyscallFilter};
use roma_sample_proto::roma::sample::message_queue_request::Operation;
use roma_sample_proto::roma::sample::{
    DescriptorsRequest, FileSystemChangeRequest, FileType, MessageQueueRequest, PrivilegesRequest,
    ReceiveMessage, SocketSearchRequest, SyscallsRequest,
};

use common::messages::{Outcome, Task, outcome, request};
use common::{TestBed, in_every_sandbox, patient, udf, workers};

const EPERM: i32 = 1;

async fn ask(service: &Service, name: &str, task: Task) -> Outcome {
    let code = service.load(udf(name), workers(1)).await.unwrap();
    let response = service
        .execute(&code, request(task), patient())
        .await
        .unwrap();
    service.delete(&code).await.unwrap();
    outcome(&response)
}

async fn syscalls(bed: &TestBed) -> Vec<(String, i32)> {
    let service = bed.service().await;
    let Outcome::Syscalls(syscalls) = ask(
        &service,
        "syscall_filter_udf",
        Task::Syscalls(SyscallsRequest {}),
    )
    .await
    else {
        panic!("unexpected outcome")
    };
    service.shutdown().await;
    syscalls
        .outcomes
        .into_iter()
        .map(|call| (call.name, call.error_number))
        .collect()
}

fn queue(operation: Operation) -> Task {
    Task::MessageQueue(MessageQueueRequest {
        operation: Some(operation),
    })
}

in_every_sandbox! {
    async fn a_udf_has_no_capability_and_cannot_get_any(bed: TestBed) {
        let service = bed.service().await;
        let Outcome::Privileges(has) = ask(&service, "privileges_udf", Task::Privileges(PrivilegesRequest {})).await
        else { panic!("unexpected outcome") };
        assert_eq!((has.effective, has.permitted, has.inheritable, has.ambient), (0, 0, 0, 0));
        assert!(has.no_new_privileges);
        assert_eq!(has.process_id, 1, "not the first process of its namespace");
        service.shutdown().await;
    }

    async fn a_udf_has_four_descriptors(bed: TestBed) {
        let service = bed.service().await;
        let Outcome::Descriptors(open) = ask(&service, "descriptors_udf", Task::Descriptors(DescriptorsRequest {})).await
        else { panic!("unexpected outcome") };
        let found: Vec<_> = open.descriptors.iter().map(|d| (d.number, d.r#type())).collect();
        assert_eq!(found.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [0, 1, 2, 3]);
        let kinds: Vec<_> = found.iter().map(|(_, kind)| *kind).collect();
        // None is a device, which all workers of a pool would share.
        assert_eq!(kinds, [FileType::Pipe, FileType::Pipe, FileType::Pipe, FileType::Socket]);
        service.shutdown().await;
    }

    async fn two_workers_of_one_code_cannot_connect(bed: TestBed) {
        let service = bed.service().await;
        let code = service.load(udf("misbehaving_udf"), workers(2)).await.unwrap();
        let ask = |what: &'static str| service.execute(&code, what.as_bytes(), patient());
        let (listened, reached) = tokio::join!(ask("listen"), ask("reach"));
        assert_eq!((&listened.unwrap()[..], &reached.unwrap()[..]), (&b"alone"[..], &b"alone"[..]));
        service.shutdown().await;
    }

    async fn there_is_no_socket_in_the_file_system(bed: TestBed) {
        let service = bed.service().await;
        let Outcome::SocketSearch(found) = ask(&service, "socket_finder_udf", Task::SocketSearch(SocketSearchRequest::default())).await
        else { panic!("unexpected outcome") };
        assert!(found.sockets.is_empty(), "{found:?}");
        assert!(found.visited > 0);
        service.shutdown().await;
    }

    async fn no_file_can_be_created_deleted_or_changed(bed: TestBed) {
        let service = bed.service().await;
        for name in ["filesystem_add_udf", "filesystem_delete_udf", "filesystem_edit_udf"] {
            let Outcome::FileSystemChange(found) = ask(&service, name, Task::FileSystemChange(FileSystemChangeRequest::default())).await
            else { panic!("unexpected outcome") };
            assert!(found.changed.is_empty(), "{name}: {found:?}");
            assert!(!found.refused.is_empty(), "{name} did not try anything");
        }
        service.shutdown().await;
    }

    async fn no_message_reaches_the_next_request(bed: TestBed) {
        let service = bed.service().await;
        let code = service.load(udf("message_queue_udf"), workers(2)).await.unwrap();
        for _ in 0..3 {
            let send = request(queue(Operation::Send("secret".into())));
            let Outcome::MessageQueue(sent) = outcome(&service.execute(&code, send, patient()).await.unwrap())
            else { panic!("unexpected outcome") };
            let receive = request(queue(Operation::Receive(ReceiveMessage {})));
            let Outcome::MessageQueue(got) = outcome(&service.execute(&code, receive, patient()).await.unwrap())
            else { panic!("unexpected outcome") };
            assert_eq!(got.received, None);
            match bed.filter {
                SyscallFilter::Strict => assert_eq!((sent.open_error_number, got.open_error_number), (EPERM, EPERM)),
                _ => assert!(sent.open_error_number == 0 || sent.open_error_number == EPERM, "{sent:?}"),
            }
        }
        service.shutdown().await;
    }

    async fn the_filter_denies_the_system_calls_of_its_level(bed: TestBed) {
        let outcomes = syscalls(&bed).await;
        let error = |name: &str| outcomes.iter().find(|(call, _)| call == name).map(|(_, error)| *error);
        assert!(outcomes.len() > 40, "{outcomes:?}");
        let dangerous = ["mount", "umount2", "pivot_root", "setns", "bpf"];
        for name in dangerous {
            assert_ne!(error(name), Some(0), "{name}");
        }
        let ipc = ["msgget", "semget", "shmget"];
        match bed.filter {
            SyscallFilter::Strict => {
                for name in ipc {
                    assert_eq!(error(name), Some(EPERM), "{name}");
                }
            }
            SyscallFilter::Engine => assert_ne!(error("dup2"), Some(EPERM)),
            SyscallFilter::None => {}
        }
    }
}

mod without_private_ipc {
    use super::*;
    use crate::common::{GVISOR_STRICT, MINIMAL_STRICT, run};

    /// Without IPC namespaces, the filter must keep messages apart.
    async fn the_filter_denies_message_queues(bed: TestBed) {
        let service = bed.builder().private_ipc(false).start().await.unwrap();
        for operation in [
            Operation::Send("secret".into()),
            Operation::Receive(ReceiveMessage {}),
        ] {
            let Outcome::MessageQueue(outcome) =
                ask(&service, "message_queue_udf", queue(operation)).await
            else {
                panic!("unexpected outcome")
            };
            assert_eq!(outcome.open_error_number, EPERM);
        }
        service.shutdown().await;
    }

    #[test]
    fn minimal_strict() {
        run(MINIMAL_STRICT, the_filter_denies_message_queues);
    }

    #[test]
    fn gvisor_strict() {
        run(GVISOR_STRICT, the_filter_denies_message_queues);
    }
}
