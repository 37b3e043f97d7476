//! Tricks for UDFs with their own `/tmp` and `/proc`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::symlink;

use crate::Trick;
use crate::answer::Answer;
use crate::file_system::{create_nameless_file, make_setuid, read};
use crate::kernel::{at, call, number, text};

pub(crate) const TRICKS: &[(&str, Trick)] = &[
    ("use_device_in_tmp", |_, _| use_device()),
    ("run_setuid_program_in_tmp", |_, _| run_setuid_program()),
    ("link_program_into_tmp", |_, _| {
        fs::hard_link("/udf", "/tmp/linked").into()
    }),
    ("leave_tmp_by_link", |_, _| leave_tmp_by_link()),
    ("create_nameless_file_in_tmp", |_, _| {
        create_nameless_file("/tmp")
    }),
    ("create_beside_tmp", |_, _| {
        File::create("/tmp/../new").into()
    }),
    ("fill_tmp", |_, _| fill_tmp()),
    ("fill_tmp_with_names", |_, _| fill_tmp_with_names()),
    ("find_mounts_without_flags", |_, _| mounts_without_flags()),
    ("find_other_processes", |_, _| other_processes()),
    ("find_host_in_mounts", |_, _| host_in_mounts()),
    ("read_by_root_of_one", |_, _| {
        read("/proc/1/root/etc/passwd")
    }),
    ("read_kernel_memory", |_, _| read("/proc/kcore")),
    ("read_kernel_log", |_, _| open_to_read("/proc/kmsg")),
    ("find_kernel_keys", |_, _| kernel_keys()),
    ("write_core_pattern", |_, _| {
        write("/proc/sys/kernel/core_pattern")
    }),
    ("press_magic_key", |_, _| write("/proc/sysrq-trigger")),
    ("write_own_memory_by_file", |_, _| write("/proc/self/mem")),
    ("write_own_program_by_link", |_, _| write("/proc/self/exe")),
    ("map_users", |_, _| write("/proc/self/uid_map")),
    ("spare_from_memory_shortage", |_, _| {
        write("/proc/self/oom_score_adj")
    }),
    ("open_connection_again", |_, _| {
        open_to_read("/proc/self/fd/3")
    }),
    ("remount_proc_to_write", |_, _| {
        let flags = (libc::MS_REMOUNT | libc::MS_BIND) as usize;
        call(libc::SYS_mount, &[0, text(c"/proc"), 0, flags, 0]).into()
    }),
    ("unmount_tmp", |_, _| {
        call(
            libc::SYS_umount2,
            &[text(c"/tmp"), libc::MNT_DETACH as usize],
        )
        .into()
    }),
    ("unshare_user_with_tmp", |_, _| {
        call(libc::SYS_unshare, &[libc::CLONE_NEWUSER as usize]).into()
    }),
];

fn write(path: &str) -> Answer {
    OpenOptions::new().write(true).open(path).into()
}

fn open_to_read(path: &str) -> Answer {
    File::open(path).into()
}

/// Runs a setuid program whose owner is this user. This shows only whether the mount allows setuid.
fn run_setuid_program() -> Answer {
    let copied = fs::write("/tmp/setuid", b"#!/udf\n");
    match copied {
        Ok(()) => match make_setuid("/tmp/setuid") {
            Answer::Done(_) => {
                Answer::done_if(flags("/tmp").is_ok_and(|flags| flags & libc::ST_NOSUID == 0))
            }
            refused => refused,
        },
        Err(error) => error.into(),
    }
}

/// Creates a device node for the machine's memory and opens it.
fn use_device() -> Answer {
    let mode = libc::S_IFCHR as usize | 0o600;
    let device = libc::makedev(1, 1) as usize;
    let made = call(
        libc::SYS_mknodat,
        &[number(libc::AT_FDCWD), text(c"/tmp/new"), mode, device],
    );
    match made {
        Ok(_) => open_to_read("/tmp/new"),
        Err(error) => error.into(),
    }
}

/// Finds keys of other processes.
fn kernel_keys() -> Answer {
    fs::read_to_string("/proc/keys").map_or_else(Answer::from, Answer::found)
}

fn leave_tmp_by_link() -> Answer {
    match symlink("/tmp/../../../etc/passwd", "/tmp/away") {
        Ok(()) => read("/tmp/away"),
        Err(error) => error.into(),
    }
}

fn fill_tmp() -> Answer {
    for name in 0..512 {
        let filled = File::create(format!("/tmp/large-{name}"))
            .and_then(|mut file| (0..16).try_for_each(|_| file.write_all(&[1; 4096])));
        if let Err(error) = filled {
            return error.into();
        }
    }
    Answer::done()
}

fn fill_tmp_with_names() -> Answer {
    for name in 0..20_000 {
        if let Err(error) = File::create(format!("/tmp/empty-{name}")) {
            return error.into();
        }
    }
    Answer::done()
}

fn mounts_without_flags() -> Answer {
    let required = [
        ("/", libc::ST_RDONLY | libc::ST_NOSUID | libc::ST_NODEV),
        ("/tmp", libc::ST_NOSUID | libc::ST_NODEV),
        (
            "/proc",
            libc::ST_RDONLY | libc::ST_NOSUID | libc::ST_NODEV | libc::ST_NOEXEC,
        ),
    ];
    let bare = required
        .iter()
        .filter(|(path, wanted)| flags(path).is_ok_and(|flags| flags & wanted != *wanted));
    Answer::found(bare.map(|(path, _)| *path).collect::<String>())
}

/// Returns the flags of the mount of `path`.
fn flags(path: &str) -> io::Result<u64> {
    const FLAGS: usize = 10;
    let path = std::ffi::CString::new(path)?;
    let mut found = [0_u64; 16];
    call(libc::SYS_statfs, &[path.as_ptr().addr(), at(&mut found)])?;
    Ok(found[FLAGS])
}

fn other_processes() -> Answer {
    let own = std::process::id().to_string();
    match fs::read_dir("/proc") {
        Ok(entries) => {
            let names = entries
                .flatten()
                .map(|entry| entry.file_name().to_string_lossy().into_owned());
            let numbers = names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
            Answer::found(
                numbers
                    .filter(|number| *number != own)
                    .map(|it| it + " ")
                    .collect::<String>(),
            )
        }
        Err(error) => error.into(),
    }
}

/// Finds mounts with a foreign source, which reveals facts about the host.
fn host_in_mounts() -> Answer {
    match fs::read_to_string("/proc/self/mountinfo") {
        Ok(text) => {
            let source = |line: &str| {
                line.split(" - ")
                    .nth(1)?
                    .split(' ')
                    .nth(1)
                    .map(str::to_owned)
            };
            let sources = text.lines().filter_map(source);
            let strange = sources.filter(|source| source != "roma" && source != "none");
            Answer::found(strange.map(|it| it + " ").collect::<String>())
        }
        Err(error) => error.into(),
    }
}
