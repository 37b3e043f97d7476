//! Control groups: limits of a whole pool, if the machine allows them.
//!
//! Both versions are handled, each controller on its own, because machines mix them. A limit that cannot
//! be set is left out and reported as not in force: control groups are a second line behind the
//! worker's own limits.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use crate::limits::PoolLimits;
use crate::step::errno_of;

/// Period over which CPU time is counted, microseconds (the kernel's default).
const CPU_PERIOD_MICROS: u64 = 100_000;

/// A group that this process created, in one or several hierarchies. Dropping it does not remove it.
#[derive(Debug, Default)]
pub struct Group {
    folders: Vec<PathBuf>,
    in_force: InForce,
}

/// Which limits the kernel has accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InForce {
    /// Memory.
    pub memory: bool,
    /// Number of processes.
    pub processes: bool,
    /// CPU time.
    pub cpu: bool,
}

/// The folder of this process's own group, for each controller.
#[derive(Debug, Default)]
pub struct Hierarchies {
    /// In the single tree of version 2.
    unified: Option<PathBuf>,
    /// In the trees of version 1: controller and folder.
    separate: Vec<(String, PathBuf)>,
}

impl Hierarchies {
    /// Reads what is mounted. Finds nothing inside gVisor or without `/proc`.
    #[must_use]
    pub fn discover() -> Self {
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        Self::parse(&own, &mounts)
    }

    fn parse(own: &str, mounts: &str) -> Self {
        let mut found = Self::default();
        for line in own.lines() {
            let mut fields = line.splitn(3, ':').skip(1);
            let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
                continue;
            };
            if controllers.is_empty() {
                found.unified = mounted(mounts, "cgroup2", None, path);
                continue;
            }
            for controller in controllers.split(',') {
                if let Some(folder) = mounted(mounts, "cgroup", Some(controller), path) {
                    found.separate.push((controller.to_owned(), folder));
                }
            }
        }
        found
    }

    /// Returns the folder of this process's own group for memory.
    #[must_use]
    pub fn memory(&self) -> Option<&Path> {
        let separate = self
            .separate
            .iter()
            .find(|(controller, _)| controller == "memory")
            .map(|(_, folder)| folder);
        separate.or(self.unified.as_ref()).map(PathBuf::as_path)
    }

    /// Calls `visit` with the name of each group directly below this process's own.
    pub fn for_each_group(&self, mut visit: impl FnMut(&str)) {
        for (name, _) in self.groups() {
            visit(&name);
        }
    }

    fn groups(&self) -> impl Iterator<Item = (String, PathBuf)> {
        let separate = self.separate.iter().map(|(_, folder)| folder);
        separate
            .chain(&self.unified)
            .filter_map(|parent| fs::read_dir(parent).ok())
            .flat_map(|entries| entries.flatten())
            .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
    }

    fn separate(&self, controller: &str) -> Option<&Path> {
        self.separate
            .iter()
            .find(|(name, _)| name == controller)
            .map(|(_, path)| path.as_path())
    }
}

/// Returns the folder of group `path` in the hierarchy of this type and controller.
fn mounted(mounts: &str, kind: &str, controller: Option<&str>, path: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut before = before.split(' ').skip(3);
        let (root, point) = (before.next()?, before.next()?);
        let mut after = after.split(' ');
        let (type_of, options) = (after.next()?, after.nth(1)?);
        let fits = controller.is_none_or(|name| options.split(',').any(|option| option == name));
        // A container sees only its part of the tree: paths are relative to what is mounted.
        let below = Path::new(path).strip_prefix(root).ok()?;
        (type_of == kind && fits).then(|| Path::new(point).join(below))
    })
}

impl Group {
    /// Creates a group below this process's own, with those of the limits that can be set.
    #[must_use]
    pub fn create(hierarchies: &Hierarchies, name: &str, limits: &PoolLimits) -> Self {
        let mut group = Self::default();
        if let Some(bytes) = limits.memory {
            let bytes = bytes.to_string();
            group.in_force.memory = group.limit(
                hierarchies,
                name,
                "memory",
                &[("memory.max", &bytes), ("memory.limit_in_bytes", &bytes)],
            );
        }
        if let Some(count) = limits.processes {
            let count = count.to_string();
            group.in_force.processes =
                group.limit(hierarchies, name, "pids", &[("pids.max", &count)]);
        }
        if let Some(millis) = limits.cpu_millis {
            let quota = (millis.saturating_mul(CPU_PERIOD_MICROS) / 1000).max(1000);
            group.in_force.cpu = group.limit(
                hierarchies,
                name,
                "cpu",
                &[
                    ("cpu.max", &format!("{quota} {CPU_PERIOD_MICROS}")),
                    ("cpu.cfs_quota_us", &quota.to_string()),
                ],
            );
        }
        group
    }

    /// Returns which limits apply to the processes that join.
    #[must_use]
    pub fn in_force(&self) -> InForce {
        self.in_force
    }

    /// Moves the calling process, and with it all processes that it will start, into the group.
    pub fn join(&self) -> Result<(), Errno> {
        for folder in &self.folders {
            // "0" is the writing process, in any PID namespace.
            fs::write(folder.join("cgroup.procs"), "0").map_err(|error| errno_of(&error))?;
        }
        Ok(())
    }

    /// Removes the group. Fails with `EBUSY` while processes are in it.
    pub fn remove(&self) -> Result<(), Errno> {
        self.folders
            .iter()
            .try_for_each(|folder| match fs::remove_dir(folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(errno_of(&error)),
                _ => Ok(()),
            })
    }

    /// Sets one limit by the first of these files that exists.
    fn limit(
        &mut self,
        hierarchies: &Hierarchies,
        name: &str,
        controller: &str,
        files: &[(&str, &str)],
    ) -> bool {
        let Some(parent) = parent_for(hierarchies, controller) else {
            return false;
        };
        let folder = parent.join(name);
        if !self.folders.contains(&folder) {
            if fs::create_dir(&folder).is_err() {
                return false;
            }
            self.folders.push(folder.clone());
        }
        files
            .iter()
            .find(|(file, _)| folder.join(file).exists())
            .is_some_and(|(file, value)| fs::write(folder.join(file), value).is_ok())
    }
}

/// Returns the group below which this controller can be used.
fn parent_for<'a>(hierarchies: &'a Hierarchies, controller: &str) -> Option<&'a Path> {
    if let Some(separate) = hierarchies.separate(controller) {
        return Some(separate);
    }
    let unified = hierarchies.unified.as_deref()?;
    let control = unified.join("cgroup.subtree_control");
    let enabled = |text: &str| text.split_whitespace().any(|name| name == controller);
    if !enabled(&fs::read_to_string(&control).ok()?) {
        // Fails if the controller is not delegated to us, or if processes are in the parent.
        fs::write(&control, format!("+{controller}")).ok()?;
    }
    Some(unified)
}

/// Removes the groups below this process's own whose names are `unwanted`. Groups with processes in
/// them stay.
pub fn remove_groups(hierarchies: &Hierarchies, unwanted: impl Fn(&str) -> bool) {
    for (_, folder) in hierarchies.groups().filter(|(name, _)| unwanted(name)) {
        // It may be busy, or removed by another instance.
        let _ = fs::remove_dir(folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
30 20 0:25 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
31 30 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
32 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
33 30 0:28 /docker/abc /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
34 30 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
";

    #[test]
    fn each_controller_is_found_in_its_hierarchy() {
        let own = "4:pids:/docker/abc/x\n3:cpu,cpuacct:/\n2:memory:/a/b\n0::/user\n";
        let found = Hierarchies::parse(own, MOUNTS);
        let at = |controller| {
            found
                .separate(controller)
                .map(|path| path.to_str().expect("text"))
        };
        assert_eq!(at("memory"), Some("/sys/fs/cgroup/memory/a/b"));
        assert_eq!(at("cpu"), Some("/sys/fs/cgroup/cpu,cpuacct/"));
        assert_eq!(at("pids"), Some("/sys/fs/cgroup/pids/x"));
        assert_eq!(
            found.unified,
            Some(PathBuf::from("/sys/fs/cgroup/unified/user"))
        );
    }

    #[test]
    fn without_hierarchies_no_limit_is_in_force() {
        let found = Hierarchies::parse("0::/\n", "");
        assert!(found.unified.is_none() && found.separate.is_empty());
        let group = Group::create(
            &found,
            "x",
            &PoolLimits {
                memory: Some(1),
                processes: Some(1),
                cpu_millis: Some(1),
            },
        );
        assert_eq!(group.in_force(), InForce::default());
        assert_eq!(group.join(), Ok(()));
        assert_eq!(group.remove(), Ok(()));
    }
}
