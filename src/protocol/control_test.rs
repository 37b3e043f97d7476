use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use roma_sandbox::step::Step;

use super::*;

fn text(pattern: &str) -> impl Strategy<Value = Vec<u8>> + use<> {
    proptest::string::string_regex(pattern)
        .expect("a valid pattern")
        .prop_map(String::into_bytes)
}

fn limit() -> impl Strategy<Value = Option<u64>> {
    option::of(0..u64::MAX)
}

prop_compose! {
    fn any_worker_limits()(n in vec(limit(), 7)) -> WorkerLimits {
        WorkerLimits {
            cpu_seconds: n[0], address_space: n[1], data: n[2], stack: n[3],
            open_files: n[4], file_size: n[5], processes: n[6],
        }
    }
}

prop_compose! {
    fn any_library()(source in text("(/[a-z]{1,9}){1,4}"), target in text("/lib(/[a-z0-9]{1,9}){0,3}"))
        -> LibraryMount { LibraryMount { source, target } }
}

prop_compose! {
    fn any_load()(
        pool in any::<u64>(),
        spawners in 1..=MAX_SPAWNERS as u16,
        roots in 1..=MAX_LIVE as u32,
        binary_bytes in 1..=MAX_BINARY_BYTES,
        filter in prop_oneof![Just(FilterLevel::Engine), Just(FilterLevel::Strict)],
        private_ipc in any::<bool>(),
        proc in any::<bool>(),
        tmp_bytes in limit(),
        worker_limits in any_worker_limits(),
        pool_limits in (limit(), limit(), limit()),
        libraries in vec(any_library(), 0..4),
        environment in vec(text("[A-Z]{1,5}=[a-z]{0,9}"), 0..4),
        arguments in vec(text("[a-z]{0,9}"), 0..4),
    ) -> Load {
        let (memory, processes, cpu_millis) = pool_limits;
        Load {
            pool: PoolId(pool), spawners, roots, binary_bytes, filter, private_ipc, proc,
            tmp_bytes, worker_limits, pool_limits: PoolLimits { memory, processes, cpu_millis },
            libraries, environment, arguments,
        }
    }
}

fn plain_load() -> Load {
    Load {
        pool: PoolId(1),
        spawners: 1,
        roots: 1,
        binary_bytes: 1,
        filter: FilterLevel::Strict,
        private_ipc: true,
        proc: false,
        tmp_bytes: None,
        worker_limits: WorkerLimits::default(),
        pool_limits: PoolLimits::default(),
        libraries: Vec::new(),
        environment: Vec::new(),
        arguments: Vec::new(),
    }
}

fn refused(change: impl FnOnce(&mut Load)) -> DecodeError {
    let mut load = plain_load();
    change(&mut load);
    ToRunWorkers::decode(&ToRunWorkers::Load(Box::new(load)).encode()).expect_err("must be refused")
}

fn library(source: &str, target: &str) -> LibraryMount {
    LibraryMount {
        source: source.into(),
        target: target.into(),
    }
}

proptest! {
    #[test]
    fn a_load_decodes_to_what_was_encoded(load in any_load()) {
        let message = ToRunWorkers::Load(Box::new(load));
        prop_assert_eq!(ToRunWorkers::decode(&message.encode()), Ok(message));
    }

    #[test]
    fn a_load_cut_anywhere_is_truncated(load in any_load(), at in any::<prop::sample::Index>()) {
        let bytes = ToRunWorkers::Load(Box::new(load)).encode();
        let cut = &bytes[..at.index(bytes.len())];
        prop_assert_eq!(ToRunWorkers::decode(cut), Err(DecodeError::Truncated));
    }

    #[test]
    fn any_bytes_decode_to_what_encodes_to_them_or_to_an_error(bytes in vec(any::<u8>(), 0..400)) {
        if let Ok(message) = ToRunWorkers::decode(&bytes) {
            prop_assert_eq!(message.encode(), bytes.clone());
        }
        if let Ok(message) = FromRunWorkers::decode(&bytes) {
            prop_assert_eq!(message.encode(), bytes);
        }
    }
}

#[test]
fn kill_and_ping_decode_to_what_was_encoded() {
    for message in [ToRunWorkers::Kill(PoolId(3)), ToRunWorkers::Ping] {
        assert_eq!(ToRunWorkers::decode(&message.encode()), Ok(message));
    }
}

#[test]
fn replies_decode_to_what_was_encoded() {
    let failure = StepFailure {
        step: Step::ForkPool,
        errno: 11,
    };
    for message in [
        FromRunWorkers::Hello(Hello {
            rootless: true,
            isolated: false,
            start_nanos: 5,
        }),
        FromRunWorkers::LoadRefused(PoolId(3), failure),
        FromRunWorkers::PoolEnded(PoolId(3), WaitStatus(9)),
        FromRunWorkers::Broken(failure),
        FromRunWorkers::Pong,
    ] {
        assert_eq!(FromRunWorkers::decode(&message.encode()), Ok(message));
    }
}

#[test]
fn another_protocol_version_is_refused() {
    let hello = Hello {
        rootless: false,
        isolated: false,
        start_nanos: 0,
    };
    let mut bytes = FromRunWorkers::Hello(hello).encode();
    bytes[1] ^= 0x40;
    let version = PROTOCOL_VERSION ^ 0x40;
    assert_eq!(
        FromRunWorkers::decode(&bytes),
        Err(DecodeError::Version(version))
    );
    let mut bytes = ToRunWorkers::Load(Box::new(plain_load())).encode();
    bytes[1] ^= 0x40;
    assert_eq!(
        ToRunWorkers::decode(&bytes),
        Err(DecodeError::Version(version))
    );
}

#[test]
fn a_shared_ipc_namespace_without_a_filter_is_refused() {
    let error = refused(|load| {
        load.filter = FilterLevel::None;
        load.private_ipc = false;
    });
    assert_eq!(error, DecodeError::SharedIpcUnfiltered);
}

#[test]
fn paths_must_be_absolute_and_plain() {
    for path in ["", "lib", "/lib/", "//lib", "/lib/../etc", "/./lib"] {
        assert_eq!(
            refused(|l| l.libraries = vec![library(path, "/lib")]),
            DecodeError::Path
        );
        assert_eq!(
            refused(|l| l.libraries = vec![library("/lib", path)]),
            DecodeError::Path
        );
    }
}

#[test]
fn a_library_cannot_be_mounted_over_a_reserved_path() {
    for path in ["/", "/udf", "/tmp", "/tmp/x", "/proc/self"] {
        assert_eq!(
            refused(|l| l.libraries = vec![library("/lib", path)]),
            DecodeError::Path
        );
    }
}

#[test]
fn strings_and_numbers_are_bounded() {
    assert_eq!(refused(|l| l.spawners = 0), DecodeError::OutOfRange(0));
    assert_eq!(refused(|l| l.spawners = 65), DecodeError::OutOfRange(65));
    assert_eq!(refused(|l| l.binary_bytes = 0), DecodeError::OutOfRange(0));
    assert_eq!(
        refused(|l| l.arguments = vec![vec![]; 65]),
        DecodeError::TooLong(65)
    );
    assert_eq!(
        refused(|l| l.arguments = vec![vec![b'x'; 4097]]),
        DecodeError::TooLong(4097)
    );
    assert_eq!(
        refused(|l| l.arguments = vec![b"a\0b".to_vec()]),
        DecodeError::Nul
    );
    assert_eq!(
        refused(|l| l.environment = vec![b"=x".to_vec()]),
        DecodeError::Environment
    );
    assert_eq!(
        refused(|l| l.environment = vec![b"x".to_vec()]),
        DecodeError::Environment
    );
}

#[test]
fn bytes_after_a_message_are_refused() {
    let bytes = [ToRunWorkers::Load(Box::new(plain_load())).encode(), vec![0]].concat();
    assert_eq!(ToRunWorkers::decode(&bytes), Err(DecodeError::Trailing(1)));
}
