use super::*;

/// The name of the option for which these are refused.
fn refused(change: impl FnOnce(&mut LoadOptions)) -> &'static str {
    let mut options = LoadOptions::default();
    change(&mut options);
    match options.check() {
        Err(ConfigError::LoadOption { option, .. } | ConfigError::TooLarge { option, .. }) => {
            option
        }
        other => panic!("{other:?}"),
    }
}

fn accepted(change: impl FnOnce(&mut LoadOptions)) {
    let mut options = LoadOptions::default();
    change(&mut options);
    options.check().unwrap();
}

/// An option with a number: its name, its maximum, whether 0 is accepted, and how to set it.
type Bound = (&'static str, u64, bool, fn(&mut LoadOptions, u64));

/// Every option that is a number.
const BOUNDS: [Bound; 19] = [
    ("workers", 4096, false, |o, n| {
        o.workers = n as u32;
        o.max_live = None;
    }),
    ("max_live", 4096, false, |o, n| o.max_live = Some(n as u32)),
    ("max_waiting", 1 << 20, true, |o, n| {
        o.max_waiting = n as u32
    }),
    ("spawners", 64, false, |o, n| o.spawners = Some(n as u32)),
    ("logs", 64 << 20, false, |o, n| {
        o.logs = Logs::Tail {
            max_bytes: n as usize,
        };
    }),
    ("max_request", (2 << 30) - 1, true, |o, n| {
        o.max_request = n as usize
    }),
    ("max_response", (2 << 30) - 1, false, |o, n| {
        o.max_response = n as usize
    }),
    ("private_tmp", 1 << 40, false, |o, n| {
        o.private_tmp = Some(n)
    }),
    ("cpu_time", 31_536_000, false, |o, n| {
        o.limits.cpu_time = Some(Duration::from_secs(n));
    }),
    ("address_space", 1 << 47, false, |o, n| {
        o.limits.address_space = Some(n);
    }),
    ("data", 1 << 47, false, |o, n| o.limits.data = Some(n)),
    ("open_files", 1 << 20, true, |o, n| {
        o.limits.open_files = n as u32
    }),
    ("file_size", 1 << 47, true, |o, n| {
        o.limits.file_size = Some(n)
    }),
    ("processes", 1 << 22, false, |o, n| {
        o.limits.processes = n as u32
    }),
    ("stack", 1 << 47, false, |o, n| o.limits.stack = n),
    ("pool_limits.memory", 1 << 47, false, |o, n| {
        o.pool_limits.memory = Some(n);
    }),
    ("pool_limits.processes", 1 << 22, false, |o, n| {
        o.pool_limits.processes = Some(n);
    }),
    ("pool_limits.cpu_millis", 1_000_000, false, |o, n| {
        o.pool_limits.cpu_millis = Some(n);
    }),
    // The bytes of one argument.
    ("args", 4096, true, |o, n| {
        o.args = vec!["x".repeat(n as usize)]
    }),
];

#[test]
fn every_number_is_accepted_up_to_its_maximum_and_refused_above() {
    for (option, most, zero, set) in BOUNDS {
        accepted(|o| set(o, most));
        assert_eq!(refused(|o| set(o, most + 1)), option);
        match zero {
            true => accepted(|o| set(o, 0)),
            false => assert_eq!(refused(|o| set(o, 0)), option),
        }
    }
}

#[test]
fn the_largest_values_of_the_types_are_refused_without_overflow() {
    assert_eq!(refused(|o| o.workers = u32::MAX), "workers");
    assert_eq!(refused(|o| o.max_live = Some(u32::MAX)), "max_live");
    assert_eq!(
        refused(|o| o.limits.cpu_time = Some(Duration::MAX)),
        "cpu_time"
    );
    assert_eq!(refused(|o| o.limits.stack = u64::MAX), "stack");
    assert_eq!(refused(|o| o.max_request = usize::MAX), "max_request");
}

#[test]
fn timeouts_have_no_maximum() {
    accepted(|o| (o.start_timeout, o.exit_grace) = (Duration::MAX, Duration::MAX));
    assert_eq!(
        refused(|o| o.start_timeout = Duration::ZERO),
        "start_timeout"
    );
    accepted(|o| o.exit_grace = Duration::ZERO);
}

#[test]
fn texts_are_limited_in_number_and_in_all() {
    let variables = |count: usize, bytes: usize| -> Vec<(String, String)> {
        (0..count)
            .map(|at| (format!("{at:03}"), "x".repeat(bytes)))
            .collect()
    };
    accepted(|o| o.env = variables(64, 4));
    assert_eq!(refused(|o| o.env = variables(65, 4)), "env");
    accepted(|o| o.args = vec![String::new(); 64]);
    assert_eq!(refused(|o| o.args = vec![String::new(); 65]), "args");
    // Four bytes of each are the name and `=`.
    accepted(|o| o.env = variables(32, 1020));
    assert_eq!(refused(|o| o.env = variables(32, 1021)), "env");
    assert_eq!(
        refused(|o| {
            o.env = variables(32, 1020);
            o.args = vec!["x".into()];
        }),
        "env"
    );
}

#[test]
fn an_error_names_the_number_its_maximum_and_what_to_do() {
    let text = LoadOptions::with_workers(1_000_000_000)
        .check()
        .unwrap_err()
        .to_string();
    for part in ["`workers`", "1000000000", "4096", "load the code again"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn there_is_always_room_for_the_workers_by_default() {
    let live = |workers| LoadOptions::with_workers(workers).effective_max_live();
    assert_eq!(live(1), 3);
    assert_eq!(live(100), 200);
    assert_eq!(live(4096), 4096);
    assert_eq!(live(u32::MAX), u32::MAX, "refused for its workers");
}
