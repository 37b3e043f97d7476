//! Tricks with other processes, and attempts to outlive the request.

use std::io;

use crate::Trick;
use crate::answer::Answer;
use crate::kernel::{at, call, exit, fork, number, wait_for_ever};

pub(crate) const TRICKS: &[(&str, Trick)] = &[
    ("kill_everyone", |_, _| {
        call(libc::SYS_kill, &[number(-1), libc::SIGKILL as usize]).into()
    }),
    ("find_neighbours", |_, _| neighbours()),
    ("find_parent", |_, _| {
        Answer::done_if(std::os::unix::process::parent_id() != 0)
    }),
    ("be_another_than_one", |_, _| {
        Answer::done_if(std::process::id() != 1)
    }),
    ("open_neighbour", |_, _| {
        call(libc::SYS_pidfd_open, &[2, 0]).into()
    }),
    ("trace_neighbour", |_, _| {
        call(libc::SYS_ptrace, &[libc::PTRACE_ATTACH as usize, 2, 0, 0]).into()
    }),
    ("read_memory_of_neighbour", |_, _| {
        neighbours_memory(libc::SYS_process_vm_readv)
    }),
    ("write_memory_of_neighbour", |_, _| {
        neighbours_memory(libc::SYS_process_vm_writev)
    }),
    ("steal_descriptor", |_, _| {
        call(libc::SYS_pidfd_getfd, &[3, 0, 0]).into()
    }),
    ("compare_with_neighbour", |_, _| {
        call(libc::SYS_kcmp, &[1, 2, 0, 0, 0]).into()
    }),
    ("limit_neighbour", |_, _| limit_neighbour()),
    ("outlive_spawner", |_, _| death_signal()),
    ("raise_priority", |_, _| {
        call(
            libc::SYS_setpriority,
            &[libc::PRIO_PROCESS as usize, 0, number(-20)],
        )
        .into()
    }),
    ("run_in_real_time", |_, _| {
        call(
            libc::SYS_sched_setscheduler,
            &[0, libc::SCHED_FIFO as usize, at(&mut 50_i32)],
        )
        .into()
    }),
    ("daemonise", |_, _| daemonise()),
    ("start_orphans", |_, _| start_orphans()),
    ("ignore_all_signals", |_, _| {
        ignore_signals();
        wait_for_ever()
    }),
    ("hang_as_a_tree", |_, _| {
        let _ = fork().and_then(|_| fork());
        forget_spawner();
        wait_for_ever()
    }),
    ("hang_under_another_name", |token, _| {
        carry_name(&format!("{token}x"));
        wait_for_ever()
    }),
    ("stop_itself", |_, _| stop_itself()),
];

/// Sets this process's name, so that tests can find it.
pub(crate) fn carry_name(name: &str) {
    if let Ok(name) = std::ffi::CString::new(name) {
        let _ = call(
            libc::SYS_prctl,
            &[libc::PR_SET_NAME as usize, name.as_ptr().addr()],
        );
    }
}

fn neighbours() -> Answer {
    let own = std::process::id() as usize;
    let found = (1..40_000).filter(|pid| *pid != own && call(libc::SYS_kill, &[*pid, 0]).is_ok());
    Answer::found(found.map(|pid| format!("{pid} ")).collect::<String>())
}

fn neighbours_memory(number: libc::c_long) -> Answer {
    let mut bytes = [0_u8; 8];
    let mut own = [at(&mut bytes), bytes.len()];
    let mut other = [at(&mut bytes), bytes.len()];
    call(number, &[2, at(&mut own), 1, at(&mut other), 1, 0]).into()
}

fn limit_neighbour() -> Answer {
    let mut none = [0_u64; 2];
    call(
        libc::SYS_prlimit64,
        &[2, libc::RLIMIT_NOFILE as usize, at(&mut none), 0],
    )
    .into()
}

/// Returns `Done` if this process would not be killed with its spawner.
fn death_signal() -> Answer {
    let mut signal = 0_i32;
    match call(
        libc::SYS_prctl,
        &[libc::PR_GET_PDEATHSIG as usize, at(&mut signal)],
    ) {
        Ok(_) => Answer::done_if(signal != libc::SIGKILL),
        Err(error) => error.into(),
    }
}

fn ignore_signals() {
    for signal in 1..65 {
        // The kernel's struct: handler (1 is to ignore), flags, restorer, mask.
        let mut action = [libc::SIG_IGN, 0, 0, 0];
        let _ = call(libc::SYS_rt_sigaction, &[signal, at(&mut action), 0, 8]);
    }
}

fn leave_group() {
    let _ = call(libc::SYS_setsid, &[]);
    forget_spawner();
}

fn forget_spawner() {
    let _ = call(libc::SYS_prctl, &[libc::PR_SET_PDEATHSIG as usize, 0]);
}

/// Forks twice, leaves all groups, ignores all signals and keeps running with all descriptors open.
fn daemonise() -> Answer {
    let daemon = || -> io::Result<()> {
        if fork()? {
            leave_group();
            if fork().unwrap_or(true) {
                ignore_signals();
                wait_for_ever();
            }
            exit();
        }
        Ok(())
    };
    daemon().into()
}

fn start_orphans() -> Answer {
    for _ in 0..8 {
        match fork() {
            Ok(true) => {
                forget_spawner();
                wait_for_ever()
            }
            Ok(false) => {}
            Err(error) => return error.into(),
        }
    }
    Answer::done()
}

/// Stops this process and a child. Process 1 of a namespace may be exempt and continues.
fn stop_itself() -> ! {
    let _ = fork();
    let _ = call(
        libc::SYS_kill,
        &[std::process::id() as usize, libc::SIGSTOP as usize],
    );
    wait_for_ever()
}
