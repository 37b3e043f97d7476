//! What each fact about the machine means for Roma, and what to do about it.

use super::machine::{ControlGroups, Machine, NamespaceLimits};
use crate::output::checks::Check;

/// The oldest kernel that has every system call that Roma makes (close_range is the youngest).
const OLDEST_KERNEL: (u32, u32) = (5, 9);

const MORE_RIGHTS: &str = "docker run --security-opt seccomp=container/seccomp.json ..., \
                           see docs/containers.md";

/// Returns a check for each fact.
pub fn machine(machine: &Machine) -> Vec<Check> {
    vec![
        kernel(&machine.kernel),
        architecture(std::env::consts::ARCH),
        user(machine),
        container(machine),
        user_namespaces(machine),
        seccomp(machine),
        control_groups(machine),
        memory(machine.memory_of_process),
    ]
}

/// Less than this is not enough for some runtimes.
const LITTLE_MEMORY: u64 = 128 << 20;

fn memory(of_process: Option<u64>) -> Check {
    let Some(bytes) = of_process else {
        return Check::weak(
            "memory",
            "cannot be read: a process of a UDF has no limit by default",
        )
        .fix("set `Limits::data` for each piece of code");
    };
    let found = format!(
        "a process of a UDF may take {} MiB by default, a quarter of what there is",
        bytes >> 20
    );
    match bytes {
        LITTLE_MEMORY.. => Check::ok("memory", found),
        _ => Check::weak("memory", found)
            .fix("give the container more memory, or set `Limits::data` for code that needs more"),
    }
}

fn kernel(release: &str) -> Check {
    let found = format!("Linux {release}");
    let (major, minor) = OLDEST_KERNEL;
    match version(release) {
        Some(version) if version >= OLDEST_KERNEL => Check::ok("kernel", found),
        Some(_) => Check::missing("kernel", found)
            .fix(format!("boot a kernel of version {major}.{minor} or later")),
        None => Check::weak("kernel", format!("`{release}` is not a Linux version")).fix(format!(
            "make sure that it can do what Linux {major}.{minor} can"
        )),
    }
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn architecture(name: &str) -> Check {
    match name {
        "x86_64" | "aarch64" => Check::ok("architecture", name),
        other => Check::missing("architecture", other).fix("use a machine with x86_64 or aarch64"),
    }
}

fn user(machine: &Machine) -> Check {
    let process = &machine.process;
    match (process.user, process.sys_admin) {
        (0, true) => Check::ok("user", "root, with CAP_SYS_ADMIN"),
        // Mapping root into a user namespace requires it.
        (0, false) if process.setfcap => {
            Check::ok("user", "root, without CAP_SYS_ADMIN: takes user namespaces")
        }
        (0, false) => Check::weak("user", "root, without CAP_SYS_ADMIN and CAP_SETFCAP").fix(
            match machine.container {
                Some(_) => "docker run --cap-add SETFCAP ..., or run as an ordinary user",
                None => "start it without dropping CAP_SETFCAP, or as an ordinary user",
            },
        ),
        (user, true) => Check::ok("user", format!("user {user}, with CAP_SYS_ADMIN")),
        (user, false) => Check::ok("user", format!("user {user}, without rights of root")),
    }
}

fn container(machine: &Machine) -> Check {
    match &machine.container {
        Some(name) => Check::ok("container", format!("inside one ({name})")),
        None => Check::ok("container", "not inside one, as far as can be seen"),
    }
}

fn user_namespaces(machine: &Machine) -> Check {
    const NAME: &str = "user namespaces";
    let ordinary = !machine.process.sys_admin;
    match machine.namespaces {
        NamespaceLimits {
            max_user_namespaces: None,
            ..
        } => Check::missing(NAME, "this kernel has none").fix("boot a kernel with CONFIG_USER_NS"),
        NamespaceLimits {
            max_user_namespaces: Some(0),
            ..
        } => Check::missing(NAME, "user.max_user_namespaces is 0")
            .fix("sysctl -w user.max_user_namespaces=15000"),
        NamespaceLimits {
            unprivileged_userns_clone: Some(0),
            ..
        } if ordinary => Check::missing(NAME, "kernel.unprivileged_userns_clone is 0")
            .fix("sysctl -w kernel.unprivileged_userns_clone=1, or run as root"),
        NamespaceLimits {
            apparmor_restrict_unprivileged_userns: Some(restricted),
            ..
        } if ordinary && restricted != 0 => Check::weak(
            NAME,
            format!("kernel.apparmor_restrict_unprivileged_userns is {restricted}"),
        )
        .fix("sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or run as root"),
        NamespaceLimits {
            max_user_namespaces: Some(most),
            ..
        } => Check::ok(NAME, format!("at most {most}")),
    }
}

fn seccomp(machine: &Machine) -> Check {
    let under_a_filter = "available, but this process itself is under a filter, which may deny \
                          what sandboxes need";
    match (&machine.seccomp_actions, machine.process.filtered) {
        (None, _) => Check::missing("seccomp", "this kernel does not filter system calls")
            .fix("boot a kernel with CONFIG_SECCOMP_FILTER, or use --filter none"),
        (Some(_), true) => Check::weak("seccomp", under_a_filter).fix(match machine.container {
            Some(_) => MORE_RIGHTS,
            None => "start it without a filter (systemd: remove SystemCallFilter=)",
        }),
        (Some(_), false) => Check::ok("seccomp", "system calls can be filtered"),
    }
}

fn control_groups(machine: &Machine) -> Check {
    const NAME: &str = "control groups";
    let groups = &machine.control_groups;
    let generation = match (groups.first, groups.second) {
        (true, true) => "v1 and v2",
        (true, false) => "v1",
        (false, true) => "v2",
        (false, false) => {
            return Check::weak(NAME, "none are mounted: no limits of a whole pool")
                .fix("mount -t cgroup2 none /sys/fs/cgroup");
        }
    };
    let missing = not_usable(groups);
    if missing.is_empty() {
        let found = format!("{generation}; memory, processes and CPU of a pool can be limited");
        return Check::ok(NAME, found);
    }
    let found = format!(
        "{generation}; cannot limit {} of a whole pool",
        missing.join(", ")
    );
    Check::weak(NAME, found).fix(match (&machine.container, machine.process.user) {
        (Some(_), _) => "docker run --cgroupns=host -v /sys/fs/cgroup:/sys/fs/cgroup:rw ...",
        (None, 0) => "systemd-run --scope -p Delegate=yes COMMAND",
        (None, _) => "systemd-run --user --scope -p Delegate=yes COMMAND",
    })
}

fn not_usable(groups: &ControlGroups) -> Vec<&'static str> {
    let usable = groups.usable;
    let limits = [
        ("memory", usable.memory),
        ("processes", usable.processes),
        ("CPU", usable.cpu),
    ];
    let missing = limits.into_iter().filter(|(_, usable)| !usable);
    missing.map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use roma_sandbox::cgroup::InForce;

    use super::super::machine::Process;
    use super::*;
    use crate::output::checks::Verdict;

    /// An ordinary user's good machine.
    fn good() -> Machine {
        Machine {
            kernel: "6.1.0-13-amd64".into(),
            process: Process {
                user: 1000,
                sys_admin: false,
                setfcap: false,
                filtered: false,
            },
            container: None,
            namespaces: NamespaceLimits {
                max_user_namespaces: Some(1000),
                ..Default::default()
            },
            seccomp_actions: Some("kill errno allow".into()),
            control_groups: ControlGroups {
                first: false,
                second: true,
                usable: InForce {
                    memory: true,
                    processes: true,
                    cpu: true,
                },
            },
            memory_of_process: Some(1 << 30),
        }
    }

    /// Returns the verdict and the fix of the named check for a machine with one change.
    fn judged(name: &str, change: impl FnOnce(&mut Machine)) -> (Verdict, String) {
        let mut changed = good();
        change(&mut changed);
        let checks = machine(&changed);
        let check = checks.into_iter().find(|check| check.name == name).unwrap();
        (check.verdict, check.fix.unwrap_or_default())
    }

    #[test]
    fn a_good_machine_needs_no_fix() {
        for check in machine(&good()) {
            assert_eq!(
                (check.verdict, &check.fix),
                (Verdict::Ok, &None),
                "{check:?}"
            );
        }
    }

    #[test]
    fn kernels_are_compared_by_number() {
        let judge = |release: &str| judged("kernel", |machine| machine.kernel = release.into()).0;
        assert_eq!(judge("5.9.0"), Verdict::Ok);
        assert_eq!(judge("5.10"), Verdict::Ok);
        assert_eq!(judge("10.0-rc1"), Verdict::Ok);
        assert_eq!(judge("5.8.17-generic"), Verdict::Missing);
        assert_eq!(judge("4.4.0"), Verdict::Missing);
        assert_eq!(judge("plan9"), Verdict::Weak);
    }

    #[test]
    fn other_architectures_are_missing() {
        assert_eq!(architecture("aarch64").verdict, Verdict::Ok);
        assert_eq!(architecture("riscv64").verdict, Verdict::Missing);
    }

    #[test]
    fn each_switch_of_user_namespaces_has_its_fix() {
        let judge = |change: fn(&mut Machine)| judged("user namespaces", change);
        let (verdict, fix) = judge(|m| m.namespaces.max_user_namespaces = None);
        assert!(verdict == Verdict::Missing && fix.contains("CONFIG_USER_NS"));
        let (verdict, fix) = judge(|m| m.namespaces.max_user_namespaces = Some(0));
        assert!(verdict == Verdict::Missing && fix.contains("user.max_user_namespaces="));
        let (verdict, fix) = judge(|m| m.namespaces.unprivileged_userns_clone = Some(0));
        assert!(verdict == Verdict::Missing && fix.contains("kernel.unprivileged_userns_clone=1"));
        let (verdict, fix) =
            judge(|m| m.namespaces.apparmor_restrict_unprivileged_userns = Some(1));
        assert!(verdict == Verdict::Weak && fix.contains("restrict_unprivileged_userns=0"));
    }

    #[test]
    fn switches_for_ordinary_users_do_not_concern_root() {
        let (verdict, _) = judged("user namespaces", |machine| {
            machine.process.sys_admin = true;
            machine.namespaces.unprivileged_userns_clone = Some(0);
            machine.namespaces.apparmor_restrict_unprivileged_userns = Some(1);
        });
        assert_eq!(verdict, Verdict::Ok);
    }

    #[test]
    fn rights_that_a_container_took_are_asked_back_from_it() {
        let (verdict, fix) = judged("seccomp", |machine| {
            machine.process.filtered = true;
            machine.container = Some("docker".into());
        });
        assert!(verdict == Verdict::Weak && fix.contains("container/seccomp.json"));
        let (verdict, fix) = judged("user", |machine| {
            machine.process.user = 0;
            machine.container = Some("docker".into());
        });
        assert!(verdict == Verdict::Weak && fix.contains("--cap-add SETFCAP"));
        let (verdict, _) = judged("user", |machine| {
            machine.process.user = 0;
            machine.process.setfcap = true;
        });
        assert_eq!(verdict, Verdict::Ok);
        let (verdict, _) = judged("seccomp", |machine| machine.seccomp_actions = None);
        assert_eq!(verdict, Verdict::Missing);
    }

    #[test]
    fn control_groups_that_cannot_be_used_are_weak() {
        let (verdict, fix) = judged("control groups", |m| m.control_groups.usable.memory = false);
        assert!(verdict == Verdict::Weak && fix.contains("--user"));
        let (verdict, fix) = judged("control groups", |m| m.control_groups.second = false);
        assert!(verdict == Verdict::Weak && fix.contains("mount"));
    }

    #[test]
    fn little_or_unknown_memory_is_weak_and_says_what_to_set() {
        let (verdict, fix) = judged("memory", |machine| {
            machine.memory_of_process = Some(100 << 20);
        });
        assert_eq!(verdict, Verdict::Weak);
        assert!(fix.contains("Limits::data"), "{fix}");
        let (verdict, _) = judged("memory", |machine| machine.memory_of_process = None);
        assert_eq!(verdict, Verdict::Weak);
        let (verdict, _) = judged("memory", |_| {});
        assert_eq!(verdict, Verdict::Ok);
    }
}
