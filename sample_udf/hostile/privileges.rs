//! Tricks that try to gain rights, or to use kernel interfaces that a UDF must not reach.

use std::ffi::{c_int, c_long};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use crate::Trick;
use crate::answer::Answer;
use crate::kernel::{at, call, exit, fork, number, text, wait_for_ever};

pub(crate) const TRICKS: &[(&str, Trick)] = &[
    ("hold_capabilities", |_, _| hold_capabilities()),
    ("raise_capabilities", |_, _| raise_capabilities()),
    ("raise_ambient_capability", |_, _| {
        prctl(
            libc::PR_CAP_AMBIENT,
            &[libc::PR_CAP_AMBIENT_RAISE as usize, 21, 0, 0],
        )
    }),
    ("become_root", |_, _| call(libc::SYS_setuid, &[0]).into()),
    ("become_root_for_good", |_, _| {
        call(libc::SYS_setresuid, &[0, 0, 0]).into()
    }),
    ("join_roots_group", |_, _| {
        call(libc::SYS_setgid, &[0]).into()
    }),
    ("join_other_groups", |_, _| {
        call(libc::SYS_setgroups, &[1, at(&mut 0_u32)]).into()
    }),
    ("find_session_keyring", |_, _| find_session_keyring()),
    ("collapse_own_program", |_, _| collapse_own_program()),
    ("unshare_user", |_, _| unshare(libc::CLONE_NEWUSER)),
    ("unshare_mounts", |_, _| unshare(libc::CLONE_NEWNS)),
    ("unshare_processes", |_, _| unshare(libc::CLONE_NEWPID)),
    ("unshare_network", |_, _| unshare(libc::CLONE_NEWNET)),
    ("unshare_ipc", |_, _| unshare(libc::CLONE_NEWIPC)),
    ("unshare_names", |_, _| unshare(libc::CLONE_NEWUTS)),
    ("unshare_control_groups", |_, _| {
        unshare(libc::CLONE_NEWCGROUP)
    }),
    ("unshare_time", |_, _| unshare(0x80)),
    ("clone_into_user", |_, _| clone_into(libc::CLONE_NEWUSER)),
    ("clone_into_mounts", |_, _| clone_into(libc::CLONE_NEWNS)),
    ("clone3_into_user", |_, _| clone3_into(libc::CLONE_NEWUSER)),
    ("enter_namespace", |_, _| {
        call(libc::SYS_setns, &[3, 0]).into()
    }),
    ("gain_by_executing", |_, _| {
        let now = call(
            libc::SYS_prctl,
            &[libc::PR_GET_NO_NEW_PRIVS as usize, 0, 0, 0, 0],
        );
        now.map_or_else(Answer::from, |set| Answer::done_if(set != 1))
    }),
    ("allow_gain_by_executing", |_, _| {
        prctl(libc::PR_SET_NO_NEW_PRIVS, &[0, 0, 0, 0])
    }),
    ("be_without_filter", |_, _| {
        let mode = call(libc::SYS_prctl, &[libc::PR_GET_SECCOMP as usize]);
        mode.map_or_else(Answer::from, |mode| Answer::done_if(mode != 2))
    }),
    ("replace_filter", |_, _| replace_filter()),
    ("guess_the_gate", |_, _| guess_the_gate()),
    ("turn_off_randomness", |_, _| {
        call(libc::SYS_personality, &[0x0004_0000]).into()
    }),
    ("allow_any_tracer", |_, _| {
        prctl(libc::PR_SET_PTRACER, &[usize::MAX])
    }),
    ("move_own_program", |_, _| {
        prctl(libc::PR_SET_MM, &[8, 0, 0, 0])
    }),
    ("type_into_terminal", |_, _| {
        call(libc::SYS_ioctl, &[0, libc::TIOCSTI as usize, text(c"x")]).into()
    }),
    ("load_kernel_program", |_, _| {
        call(libc::SYS_bpf, &[0, at(&mut [0_u64; 16]), 128]).into()
    }),
    ("count_events", |_, _| count_events()),
    ("handle_page_faults", |_, _| {
        call(libc::SYS_userfaultfd, &[0]).into()
    }),
    ("make_io_ring", |_, _| {
        call(libc::SYS_io_uring_setup, &[1, at(&mut [0_u64; 16])]).into()
    }),
    ("watch_all_files", |_, _| {
        call(libc::SYS_fanotify_init, &[0, 0]).into()
    }),
    ("load_module", |_, _| {
        call(libc::SYS_init_module, &[at(&mut [0_u8; 64]), 64, text(c"")]).into()
    }),
    ("load_module_file", |_, _| {
        call(libc::SYS_finit_module, &[0, text(c""), 0]).into()
    }),
    ("load_kernel", |_, _| {
        call(libc::SYS_kexec_load, &[0, 0, 0, 0]).into()
    }),
    ("reboot", |_, _| {
        call(
            libc::SYS_reboot,
            &[0xfee1_dead, 672_274_793, 0x0123_4567, 0],
        )
        .into()
    }),
    ("set_clock", |_, _| {
        call(libc::SYS_clock_settime, &[0, at(&mut [1_u64, 0])]).into()
    }),
    ("adjust_clock", |_, _| adjust_clock()),
    ("name_host", |_, _| {
        call(libc::SYS_sethostname, &[text(c"hostile"), 7]).into()
    }),
    ("read_kernel_messages", |_, _| {
        let mut buffer = [0_u8; 64];
        call(libc::SYS_syslog, &[3, at(&mut buffer), 64]).into()
    }),
    ("swap_to_program", |_, _| {
        call(libc::SYS_swapon, &[text(c"/udf"), 0]).into()
    }),
    ("limit_disk_of_others", |_, _| {
        call(libc::SYS_quotactl, &[0, 0, 0, 0]).into()
    }),
    ("hang_up_terminals", |_, _| {
        call(libc::SYS_vhangup, &[]).into()
    }),
    ("move_pages_of_neighbour", |_, _| {
        call(libc::SYS_migrate_pages, &[2, 0, 0, 0]).into()
    }),
    // Meanwhile the test inspects the spawner as an attacker would who has taken it over.
    ("take_over_spawner", |_, _| wait_for_ever()),
    ("share_namespaces_with_spawner", |_, _| wait_for_ever()),
    ("share_namespaces_with_other_code", |_, _| wait_for_ever()),
    ("use_ports", |_, _| old::use_ports()),
    ("write_segments", |_, _| old::write_segments()),
    ("call_as_32_bit", |_, _| old::call_as_32_bit()),
    ("call_as_x32", |_, _| old::call_as_x32()),
];

fn prctl(option: c_int, arguments: &[usize]) -> Answer {
    call(libc::SYS_prctl, &[&[option as usize], arguments].concat()).into()
}

/// Makes a huge page of the program's pages, which stays when the process is gone, and by which the next one with
/// the same root has fewer page faults.
fn collapse_own_program() -> Answer {
    const HUGE: usize = 2 << 20;
    const COLLAPSE: usize = 25;
    let program = match File::open("/udf") {
        Ok(program) => program,
        Err(error) => return error.into(),
    };
    let access = (libc::PROT_READ | libc::PROT_EXEC) as usize;
    let file = program.as_raw_fd() as usize;
    // Where a page of this size would begin.
    let flags = (libc::MAP_PRIVATE | libc::MAP_FIXED) as usize;
    let map = [HUGE << 24, HUGE, access, flags, file, 0];
    call(libc::SYS_mmap, &map)
        .and_then(|place| call(libc::SYS_madvise, &[place, HUGE, COLLAPSE]))
        .into()
}

/// Looks whether the keyring of the session is one that others have: that of a user, or one with keys.
fn find_session_keyring() -> Answer {
    const SESSION: i32 = -3;
    const DESCRIBE: usize = 6;
    const READ: usize = 11;
    let mut description = [0_u8; 256];
    let mut keys = [0_u32; 16];
    let describe = [DESCRIBE, number(SESSION), at(&mut description), 256];
    let read = [READ, number(SESSION), at(&mut keys), 64];
    let found = call(libc::SYS_keyctl, &describe).and_then(|_| call(libc::SYS_keyctl, &read));
    found.map_or_else(Answer::from, |bytes| {
        let name = String::from_utf8_lossy(&description);
        Answer::done_if(bytes > 0 || name.contains("_uid_ses"))
    })
}

fn unshare(namespace: c_int) -> Answer {
    call(libc::SYS_unshare, &[namespace as usize]).into()
}

const VERSION_3: u32 = 0x2008_0522;

fn hold_capabilities() -> Answer {
    let (mut header, mut sets) = ([VERSION_3, 0], [0_u32; 6]);
    match call(libc::SYS_capget, &[at(&mut header), at(&mut sets)]) {
        Ok(_) => Answer::done_if(sets != [0; 6]),
        Err(error) => error.into(),
    }
}

fn raise_capabilities() -> Answer {
    let (mut header, mut sets) = ([VERSION_3, 0], [1_u32 << 21, 1 << 21, 0, 0, 0, 0]);
    call(libc::SYS_capset, &[at(&mut header), at(&mut sets)]).into()
}

fn clone_into(namespace: c_int) -> Answer {
    let flags = (namespace | libc::SIGCHLD) as usize;
    end_child(call(libc::SYS_clone, &[flags, 0, 0, 0, 0]))
}

fn clone3_into(namespace: c_int) -> Answer {
    let mut arguments = [0_u64; 8];
    (arguments[0], arguments[4]) = (namespace as u64, libc::SIGCHLD as u64);
    end_child(call(
        libc::SYS_clone3,
        &[at(&mut arguments), size_of_val(&arguments)],
    ))
}

fn end_child(cloned: io::Result<usize>) -> Answer {
    match cloned {
        Ok(0) => exit(),
        other => other.into(),
    }
}

/// Installs a filter that allows everything, then makes a call that the first one forbids.
fn replace_filter() -> Answer {
    const RETURN: u16 = 6;
    const ALLOW: u32 = 0x7fff_0000;
    let mut allow_all = [libc::sock_filter {
        code: RETURN,
        jt: 0,
        jf: 0,
        k: ALLOW,
    }];
    let mut program = libc::sock_fprog {
        len: 1,
        filter: allow_all.as_mut_ptr(),
    };
    match call(libc::SYS_seccomp, &[1, 0, at(&mut program)]) {
        Ok(_) => call(libc::SYS_umount2, &[text(c"/"), 0]).into(),
        Err(error) => error.into(),
    }
}

/// Tries numbers in place of the spawner's secret.
fn guess_the_gate() -> Answer {
    let user = libc::CLONE_NEWUSER as usize;
    let guesses = (0..2000_usize).flat_map(|guess| [guess, !guess, guess << 32]);
    let mut last = Answer::Nothing;
    for guess in guesses {
        last = call(libc::SYS_unshare, &[user, 0, 0, 0, 0, guess]).into();
        if matches!(last, Answer::Done(_)) {
            break;
        }
    }
    last
}

/// Counts performance events of the whole machine.
fn count_events() -> Answer {
    let mut attributes = [0_u64; 16];
    attributes[0] = 128 << 32;
    let everyone = number(-1);
    call(
        libc::SYS_perf_event_open,
        &[at(&mut attributes), everyone, 0, everyone, 0],
    )
    .into()
}

fn adjust_clock() -> Answer {
    const OFFSET: u64 = 1;
    let mut timex = [0_u64; 32];
    (timex[0], timex[1]) = (OFFSET, 1000);
    call(libc::SYS_adjtimex, &[at(&mut timex)]).into()
}

/// Stands for interfaces that only x86-64 has. Returns the error that the kernel would return.
#[cfg(not(target_arch = "x86_64"))]
mod old {
    use crate::answer::Answer;

    pub(super) fn use_ports() -> Answer {
        Answer::Refused(libc::ENOSYS)
    }

    pub(super) use use_ports as write_segments;
    pub(super) use use_ports as call_as_32_bit;
    pub(super) use use_ports as call_as_x32;
}

/// Old calls and old calling conventions, which a filter for the normal one may miss.
#[cfg(target_arch = "x86_64")]
mod old {
    use super::*;

    pub(super) fn use_ports() -> Answer {
        call(libc::SYS_iopl, &[3]).into()
    }

    /// Writes code segments into the processor's local descriptor table.
    pub(super) fn write_segments() -> Answer {
        let mut entry = [0_u32, 0, 0xf_ffff, 0b111_1001];
        call(libc::SYS_modify_ldt, &[1, at(&mut entry), 16]).into()
    }

    /// Gets the process id through the 32-bit entry. A child tries, because it may be killed.
    pub(super) fn call_as_32_bit() -> Answer {
        const GETPID: i32 = 20;
        answer_of_child(|| {
            let mut result = GETPID;
            #[allow(unsafe_code)]
            // SAFETY: the kernel's 32-bit entry takes numbers in registers and changes only the
            // registers that are named here.
            unsafe {
                std::arch::asm!("int 0x80", inout("eax") result, out("r8") _, out("r9") _,
                    out("r10") _, out("r11") _);
            }
            result > 0
        })
    }

    /// Makes a call whose number has the bit of the x32 entry.
    pub(super) fn call_as_x32() -> Answer {
        const MARK: c_long = 0x4000_0000;
        answer_of_child(|| call(MARK | libc::SYS_getpid, &[]).is_ok())
    }

    /// Returns `Done` if the child reports success, `Nothing` if it reports failure or is killed.
    fn answer_of_child(attempt: impl FnOnce() -> bool) -> Answer {
        let asked = || -> io::Result<bool> {
            if fork()? {
                let code = usize::from(attempt());
                let _ = call(libc::SYS_exit_group, &[code]);
            }
            let mut status = 0_i32;
            call(libc::SYS_wait4, &[number(-1), at(&mut status), 0, 0])?;
            Ok(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 1)
        };
        asked().map_or_else(Answer::from, Answer::done_if)
    }
}
