//! The facts about this machine that Roma depends on.

use std::fs;
use std::path::Path;

use roma_sandbox::cgroup::{Group, Hierarchies, InForce};
use roma_sandbox::limits::PoolLimits;

/// The numbers of the capabilities that are checked.
const SYS_ADMIN: u32 = 21;
const SETFCAP: u32 = 31;

/// The facts about this machine and about this process on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// The kernel's release, such as `6.1.0-13-amd64`.
    pub kernel: String,
    pub process: Process,
    /// The kind of container that this process runs in, if any.
    pub container: Option<String>,
    pub namespaces: NamespaceLimits,
    /// The actions that seccomp filters may take; `None` if the kernel has no seccomp filters.
    pub seccomp_actions: Option<String>,
    pub control_groups: ControlGroups,
    /// How many bytes of memory a process of a UDF may take by default. `None` if the memory of this
    /// machine cannot be read.
    pub memory_of_process: Option<u64>,
}

/// The rights of this process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Process {
    /// Its effective user.
    pub user: u32,
    /// It has CAP_SYS_ADMIN.
    pub sys_admin: bool,
    /// It has CAP_SETFCAP.
    pub setfcap: bool,
    /// Whether a seccomp filter is already in force.
    pub filtered: bool,
}

/// The kernel's limits on user namespaces. `None` if it has no such setting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NamespaceLimits {
    pub max_user_namespaces: Option<u64>,
    pub unprivileged_userns_clone: Option<u64>,
    pub apparmor_restrict_unprivileged_userns: Option<u64>,
}

/// The version of control groups, and the limits that this process may set with them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ControlGroups {
    pub first: bool,
    pub second: bool,
    pub usable: InForce,
}

impl Machine {
    /// Reads the facts about this machine.
    pub fn look() -> Self {
        Self {
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            process: Process::parse(&read("/proc/self/status")),
            container: container(),
            namespaces: NamespaceLimits::look(),
            seccomp_actions: fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail").ok(),
            control_groups: ControlGroups::look(),
            memory_of_process: roma_byob::Limits::default().data,
        }
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

impl Process {
    /// Reads `/proc/self/status`.
    fn parse(status: &str) -> Self {
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.strip_prefix(':')?.trim())
        };
        let user = field("Uid").and_then(|ids| ids.split_whitespace().nth(1)?.parse().ok());
        let effective = field("CapEff").and_then(|set| u64::from_str_radix(set, 16).ok());
        let has = |capability: u32| effective.is_some_and(|set| set & (1 << capability) != 0);
        Self {
            // A process whose status cannot be read is treated as having no rights.
            user: user.unwrap_or(u32::MAX),
            sys_admin: has(SYS_ADMIN),
            setfcap: has(SETFCAP),
            filtered: field("Seccomp").is_some_and(|mode| mode == "2"),
        }
    }
}

impl NamespaceLimits {
    fn look() -> Self {
        let number = |path| fs::read_to_string(path).ok()?.trim().parse().ok();
        Self {
            max_user_namespaces: number("/proc/sys/user/max_user_namespaces"),
            unprivileged_userns_clone: number("/proc/sys/kernel/unprivileged_userns_clone"),
            apparmor_restrict_unprivileged_userns: number(
                "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            ),
        }
    }
}

fn container() -> Option<String> {
    let marked = [("/.dockerenv", "docker"), ("/run/.containerenv", "podman")]
        .into_iter()
        .find(|(file, _)| Path::new(file).exists());
    if let Some((_, name)) = marked {
        return Some(name.to_owned());
    }
    container_named(&read("/proc/1/environ"), &read("/proc/1/cgroup"))
}

/// Derives the container from the environment and the control groups of the first process.
fn container_named(environment: &str, groups: &str) -> Option<String> {
    let variables = environment.split('\0');
    let named = variables.filter_map(|variable| variable.strip_prefix("container="));
    let traces = ["kubepods", "docker", "containerd", "lxc"]
        .into_iter()
        .filter(|name| groups.contains(name));
    named.chain(traces).next().map(str::to_owned)
}

impl ControlGroups {
    /// Tries to set limits in an empty group.
    fn look() -> Self {
        let limits = PoolLimits {
            memory: Some(1 << 30),
            processes: Some(1000),
            cpu_millis: Some(1000),
        };
        // With this name, the next service removes it if this process cannot.
        let name = format!("roma-{}-doctor", std::process::id());
        let group = Group::create(&Hierarchies::discover(), &name, &limits);
        let usable = group.in_force();
        let _ = group.remove();
        Self {
            usable,
            ..Self::mounted(&read("/proc/self/mountinfo"))
        }
    }

    /// Reads `/proc/self/mountinfo`.
    fn mounted(mounts: &str) -> Self {
        let any = |kind: &str| {
            let mut types = mounts.lines().filter_map(|line| line.split_once(" - "));
            types.any(|(_, rest)| rest.split(' ').next() == Some(kind))
        };
        Self {
            first: any("cgroup"),
            second: any("cgroup2"),
            usable: InForce::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_tells_what_a_process_may_do() {
        let root = "Name:\troma\nUid:\t0\t0\t0\t0\nCapEff:\t000001fffeffffff\nSeccomp:\t0\n";
        let expected = Process {
            user: 0,
            sys_admin: true,
            setfcap: true,
            filtered: false,
        };
        assert_eq!(Process::parse(root), expected);
        let user = "Uid:\t0\t1000\t0\t0\nCapEff:\t0000000000000000\nSeccomp:\t2\n";
        let expected = Process {
            user: 1000,
            sys_admin: false,
            setfcap: false,
            filtered: true,
        };
        assert_eq!(Process::parse(user), expected);
        // Docker's usual capabilities, without CAP_SYS_ADMIN.
        let docker = Process::parse("CapEff:\t00000000a80425fb\n");
        assert!(!docker.sys_admin && docker.setfcap);
    }

    #[test]
    fn an_unreadable_status_means_no_rights() {
        let unknown = Process::parse("");
        assert!(unknown.user != 0 && !unknown.sys_admin && !unknown.filtered);
    }

    #[test]
    fn containers_leave_traces() {
        let named = |environment, groups| container_named(environment, groups);
        assert_eq!(
            named("PATH=/bin\0container=lxc\0", "").as_deref(),
            Some("lxc")
        );
        let pod = "0::/kubepods.slice/cri-containerd-abc.scope\n";
        assert_eq!(named("", pod).as_deref(), Some("kubepods"));
        assert_eq!(named("HOME=/\0my_container=1\0", "0::/init.scope\n"), None);
    }

    #[test]
    fn both_generations_of_control_groups_are_told_apart() {
        let first = "31 30 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
        let second = "34 30 0:29 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n";
        let seen = |mounts: &str| {
            let groups = ControlGroups::mounted(mounts);
            (groups.first, groups.second)
        };
        assert_eq!(seen(first), (true, false));
        assert_eq!(seen(second), (false, true));
        assert_eq!(seen(&[first, second].concat()), (true, true));
        assert_eq!(seen(""), (false, false));
    }
}
