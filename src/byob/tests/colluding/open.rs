//! The channels that are known to be open, all of them without gVisor, and where SECURITY.md says so.

use std::collections::BTreeSet;

use roma_byob::SyscallFilter;

use crate::common::{TestBed, program};

struct Open {
    /// Words of SECURITY.md that say it.
    says: &'static str,
    /// Whether each filter closes it.
    only_without_filter: bool,
    /// Whether a later request hears it too.
    lasts: bool,
    tricks: &'static [&'static str],
}

const OPEN: &[Open] = &[
    Open {
        says: "Separation of live requests that map the same library",
        only_without_filter: false,
        lasts: false,
        tricks: &[
            "futex_shared_library",
            "futex_private_library",
            "futex_requeue_library",
            "record_lock_library",
            "open_file_lock_library",
        ],
    },
    Open {
        says: "at `none` also with `flock` and as watched files",
        only_without_filter: true,
        lasts: false,
        tricks: &["flock_library", "inotify_library"],
    },
    Open {
        says: "Silence of counters that a kernel keeps for all processes",
        only_without_filter: false,
        lasts: true,
        tricks: &[
            "inode_of_pipe",
            "inode_of_socket",
            "inode_of_memory_file",
            "processes_of_sysinfo",
            "shared_memory_of_sysinfo",
        ],
    },
    Open {
        says: "sockets tell of their peer and count those of the machine",
        only_without_filter: true,
        lasts: true,
        tricks: &["cookie_of_socket"],
    },
    Open {
        says: "sockets tell of their peer and count those of the machine",
        only_without_filter: true,
        lasts: false,
        tricks: &["lock_of_peer", "flock_of_peer"],
    },
    Open {
        says: "pidfds, and the cache of libraries",
        only_without_filter: true,
        lasts: true,
        tricks: &["inode_of_pidfd", "inode_of_cloned_pidfd"],
    },
];

/// Returns the channels that are open in a sandbox, or those of them that a later request hears.
pub fn channels(bed: &TestBed, later: bool) -> BTreeSet<&'static str> {
    let is_unfiltered = matches!(bed.filter, SyscallFilter::None);
    let applies = |open: &&Open| {
        !bed.is_gvisor() && (is_unfiltered || !open.only_without_filter) && (open.lasts || !later)
    };
    let open = OPEN.iter().filter(applies);
    open.flat_map(|open| open.tricks).copied().collect()
}

#[test]
fn what_is_open_is_in_the_page_on_security() {
    let page = std::fs::read_to_string(program("ROMA_SECURITY_PAGE")).unwrap();
    let words: Vec<_> = page.split_whitespace().collect();
    let page = words.join(" ");
    for open in OPEN {
        assert!(page.contains(open.says), "{:?}", open.tricks);
    }
}
