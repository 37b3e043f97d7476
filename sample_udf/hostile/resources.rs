//! Tricks that exhaust resources.

use std::fs::File;
use std::io::{self, Write};
use std::thread;

use crate::Trick;
use crate::answer::Answer;
use crate::kernel::{at, call, fork, number, wait_for_ever};

pub(crate) const TRICKS: &[(&str, Trick)] = &[
    ("reserve_addresses", |_, _| {
        take_memory(libc::PROT_NONE, 1 << 40)
    }),
    ("hold_memory", |_, _| {
        take_memory(libc::PROT_READ | libc::PROT_WRITE, 1 << 40)
    }),
    ("hold_a_little_memory", |_, _| {
        take_memory(libc::PROT_READ | libc::PROT_WRITE, 96 << 20)
    }),
    ("burn_processor", |_, _| burn()),
    ("burn_processor_in_threads", |_, _| {
        (0..4).for_each(|_| drop(thread::Builder::new().spawn(burn)));
        burn()
    }),
    ("open_descriptors", |_, _| open_descriptors()),
    ("raise_descriptors", |_, _| raise(libc::RLIMIT_NOFILE)),
    ("raise_processes", |_, _| raise(libc::RLIMIT_NPROC)),
    ("raise_memory", |_, _| raise(libc::RLIMIT_AS)),
    ("raise_time", |_, _| raise(libc::RLIMIT_CPU)),
    ("raise_core", |_, _| raise(libc::RLIMIT_CORE)),
    ("write_large_file", |_, _| write_large_file()),
    ("start_processes", |_, _| start_processes()),
    ("start_threads", |_, _| start_threads()),
    ("overflow_stack", |_, _| {
        Answer::Done(descend(u64::MAX).to_string())
    }),
    ("use_large_stack", |_, _| {
        Answer::Done(descend(2 << 10).to_string())
    }),
    ("copy_mapping_onto_itself", |_, _| {
        copy_mapping_onto_itself()
    }),
    ("dump_core", |_, _| dump_core()),
    ("fault", |_, _| fault()),
    ("flood_output", |_, _| flood_output()),
    ("enlarge_pipe", |_, _| enlarge_pipe()),
    ("sleep_for_ever", |_, _| wait_for_ever()),
];

/// Copies a page to where it is: `mremap` copies if the old size is 0. That once ended the whole sandbox.
fn copy_mapping_onto_itself() -> Answer {
    const PAGE: usize = 4096;
    let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as usize;
    let to_itself = (libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED) as usize;
    let map = [0, PAGE, libc::PROT_READ as usize, flags, number(-1), 0];
    call(libc::SYS_mmap, &map)
        .and_then(|page| call(libc::SYS_mremap, &[page, 0, PAGE, to_itself, page]))
        .into()
}

/// Maps memory, a megabyte at a time, until it is exhausted or `bytes` are mapped.
fn take_memory(access: i32, bytes: usize) -> Answer {
    const STEP: usize = 1 << 20;
    let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE) as usize;
    for _ in 0..bytes / STEP {
        let map = [0, STEP, access as usize, flags, number(-1), 0];
        if let Err(error) = call(libc::SYS_mmap, &map) {
            return error.into();
        }
    }
    Answer::done()
}

pub(crate) fn burn() -> ! {
    let mut number = 1_u64;
    loop {
        number = std::hint::black_box(number.wrapping_mul(3));
    }
}

fn open_descriptors() -> Answer {
    let mut open = Vec::new();
    while open.len() < 128 {
        match File::open("/udf") {
            Ok(file) => open.push(file),
            Err(error) => return error.into(),
        }
    }
    Answer::done()
}

/// Removes a limit, or raises it as far as possible.
fn raise(resource: libc::__rlimit_resource_t) -> Answer {
    let mut limit = [u64::MAX; 2];
    call(
        libc::SYS_prlimit64,
        &[0, resource as usize, at(&mut limit), 0],
    )
    .into()
}

fn write_large_file() -> Answer {
    let write = || -> io::Result<()> {
        let mut file = File::create("/tmp/large")?;
        (0..64).try_for_each(|_| file.write_all(&[1; 4096]))
    };
    write().into()
}

fn start_processes() -> Answer {
    for _ in 0..1000 {
        match fork() {
            Ok(true) => wait_for_ever(),
            Ok(false) => {}
            Err(error) => return error.into(),
        }
    }
    Answer::done()
}

fn start_threads() -> Answer {
    for _ in 0..1000 {
        let started = thread::Builder::new()
            .stack_size(16 << 10)
            .spawn(|| wait_for_ever());
        if let Err(error) = started {
            return error.into();
        }
    }
    Answer::done()
}

/// Uses a kilobyte of stack for each level.
#[inline(never)]
fn descend(levels: u64) -> u64 {
    let frame = std::hint::black_box([levels as u8; 1024]);
    if levels == 0 {
        return 0;
    }
    descend(levels - 1) + u64::from(std::hint::black_box(&frame)[7])
}

/// Returns `Done` if this process would write its memory to a core file.
fn dump_core() -> Answer {
    let mut limit = [0_u64; 2];
    match call(
        libc::SYS_prlimit64,
        &[0, libc::RLIMIT_CORE as usize, 0, at(&mut limit)],
    ) {
        Ok(_) => Answer::done_if(limit != [0; 2]),
        Err(error) => error.into(),
    }
}

#[allow(unsafe_code)]
fn fault() -> Answer {
    // SAFETY: none, on purpose: this must fault. Nothing reads the written address.
    unsafe { std::ptr::without_provenance_mut::<u8>(8).write_volatile(1) };
    Answer::done()
}

fn flood_output() -> Answer {
    let lines = [b'x'; 64 * 1024];
    let flood = || (0..1024).try_for_each(|_| io::stderr().write_all(&lines));
    flood().into()
}

/// Enlarges a pipe's buffer, which is kernel memory.
fn enlarge_pipe() -> Answer {
    use std::os::fd::AsRawFd;
    let enlarge = || -> io::Result<usize> {
        let (_reader, writer) = io::pipe()?;
        call(
            libc::SYS_fcntl,
            &[
                writer.as_raw_fd() as usize,
                libc::F_SETPIPE_SZ as usize,
                64 << 20,
            ],
        )
    };
    enlarge().into()
}
