use proptest::prelude::*;
use roma_sandbox::step::Step;

use super::*;

fn any_failure() -> impl Strategy<Value = StepFailure> {
    (0..Step::ALL.len(), any::<i32>()).prop_map(|(index, errno)| StepFailure {
        step: Step::ALL[index],
        errno,
    })
}

fn any_times() -> impl Strategy<Value = StartTimes> {
    any::<[u32; 3]>().prop_map(|[clone_nanos, setup_nanos, exec_nanos]| StartTimes {
        clone_nanos,
        setup_nanos,
        exec_nanos,
    })
}

fn any_to_spawner() -> impl Strategy<Value = ToSpawner> {
    prop_oneof![
        (any::<u64>(), any::<[u8; 16]>(), any::<[bool; 2]>()).prop_map(
            |(worker, name, [host_functions, report_start])| ToSpawner::Spawn(Spawn {
                worker: WorkerId(worker),
                name: ExecutionName(name),
                host_functions,
                report_start,
            })
        ),
        any::<u64>().prop_map(|worker| ToSpawner::Kill(WorkerId(worker))),
        Just(ToSpawner::Ping),
    ]
}

fn any_from_spawner() -> impl Strategy<Value = FromSpawner> {
    let ready = (any::<[bool; 5]>(), any::<[u64; 2]>()).prop_map(|(flags, nanos)| {
        FromSpawner::Ready(Ready {
            own_user_ids: flags[0],
            own_libraries: flags[1],
            memory_limit: flags[2],
            processes_limit: flags[3],
            cpu_limit: flags[4],
            setup_nanos: nanos[0],
            receive_nanos: nanos[1],
        })
    });
    let exited = (any::<[u64; 5]>(), any::<i32>(), any_times()).prop_map(|(n, status, start)| {
        FromSpawner::Exited(Exited {
            worker: WorkerId(n[0]),
            status: WaitStatus(status),
            usage: Usage {
                user_micros: n[1],
                system_micros: n[2],
                max_resident_bytes: n[3],
            },
            start,
            life_nanos: n[4],
        })
    });
    prop_oneof![
        ready,
        exited,
        any_failure().prop_map(FromSpawner::SetupFailed),
        (any::<u64>(), any_times()).prop_map(|(w, t)| FromSpawner::Started(WorkerId(w), t)),
        (any::<u64>(), any_failure()).prop_map(|(w, f)| FromSpawner::Failed(WorkerId(w), f)),
        Just(FromSpawner::Pong),
    ]
}

proptest! {
    #[test]
    fn a_message_to_a_spawner_decodes_to_what_was_encoded(message in any_to_spawner()) {
        prop_assert_eq!(ToSpawner::decode(&message.encode()), Ok(message));
    }

    #[test]
    fn a_message_from_a_spawner_decodes_to_what_was_encoded(message in any_from_spawner()) {
        prop_assert_eq!(FromSpawner::decode(&message.encode()), Ok(message));
    }

    #[test]
    fn any_bytes_decode_to_what_encodes_to_them_or_to_an_error(bytes in any::<[u8; MESSAGE_BYTES]>()) {
        if let Ok(message) = FromSpawner::decode(&bytes) {
            prop_assert_eq!(message.encode(), bytes);
        }
        if let Ok(message) = ToSpawner::decode(&bytes) {
            prop_assert_eq!(message.encode(), bytes);
        }
    }
}

#[test]
fn a_packet_of_another_size_is_refused() {
    let bytes = ToSpawner::Kill(WorkerId(7)).encode();
    assert_eq!(ToSpawner::decode(&bytes[1..]), Err(DecodeError::Truncated));
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(ToSpawner::decode(&longer), Err(DecodeError::Trailing(1)));
}

#[test]
fn unknown_messages_flags_and_padding_are_refused() {
    let mut bytes = ToSpawner::Kill(WorkerId(7)).encode();
    bytes[MESSAGE_BYTES - 1] = 1;
    assert_eq!(ToSpawner::decode(&bytes), Err(DecodeError::Padding));
    assert_eq!(
        ToSpawner::decode(&[9; MESSAGE_BYTES]),
        Err(DecodeError::UnknownMessage(9))
    );
    let mut bytes = [0; MESSAGE_BYTES];
    bytes[..2].copy_from_slice(&[SPAWN, 8]);
    assert_eq!(ToSpawner::decode(&bytes), Err(DecodeError::UnknownFlags(8)));
}

#[test]
fn a_wait_status_holds_a_code_or_a_signal() {
    assert_eq!(
        (WaitStatus(3 << 8).code(), WaitStatus(3 << 8).signal()),
        (Some(3), None)
    );
    assert_eq!(
        (WaitStatus(9).code(), WaitStatus(9).signal()),
        (None, Some(9))
    );
    // With the bit that says "core dumped".
    assert_eq!(WaitStatus(0x80 | 11).signal(), Some(11));
}
