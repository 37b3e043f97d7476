//! gVisor around `run_workers`: one container for each sandbox.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use roma_sandbox::caps::{self, Capability};
use serde_json::{Value, json};

use super::OuterConfig;
use crate::options::{Mode, Platform};
use crate::run_dir::RunDir;

/// What `run_workers` needs to prepare pools. None of them reaches beyond gVisor's own kernel.
const CAPABILITIES: [&str; 6] = [
    "CAP_SYS_ADMIN",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SETGID",
    "CAP_KILL",
    "CAP_SYS_CHROOT",
];
const PROGRAM: &str = "/run_workers";
const LIBRARIES: &str = "/libraries";
/// How long `runsc delete` may take.
const DELETE_TIME: Duration = Duration::from_millis(900);

/// A container that may have to be ended by `runsc delete`.
#[derive(Debug)]
pub(crate) struct Container {
    runsc: PathBuf,
    instance: PathBuf,
    name: String,
}

impl Container {
    /// Ends the container and removes the files that runsc keeps. Blocks for a moment.
    pub(crate) fn end(self) {
        end_container(&self.runsc, &self.instance, &self.name);
    }
}

/// Returns where `run_workers` finds the library folder with this index.
pub(super) fn library_inside(index: usize) -> PathBuf {
    Path::new(LIBRARIES).join(index.to_string())
}

/// Writes the container's files and returns the command that runs it.
pub(super) fn prepare(
    config: &OuterConfig,
    instance: &RunDir,
) -> io::Result<(Command, Option<Container>)> {
    let bundle = instance.path().join("bundle");
    let rootfs = bundle.join("rootfs");
    for folder in [&bundle, &rootfs, &runsc_root(instance.path())] {
        DirBuilder::new().mode(0o700).create(folder)?;
    }
    // A copy, so that replacing the installed file does not change what runs.
    let program = rootfs.join(&PROGRAM[1..]);
    fs::copy(&config.run_workers, &program)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o500))?;
    make_mount_points(config, &rootfs)?;
    fs::write(bundle.join("config.json"), oci_config(config).to_string())?;
    let container = Container {
        runsc: config.runsc.path.clone(),
        instance: instance.path().to_owned(),
        name: instance.name().to_owned(),
    };
    Ok((command(config, instance, &bundle), Some(container)))
}

fn make_mount_points(config: &OuterConfig, rootfs: &Path) -> io::Result<()> {
    fs::create_dir(rootfs.join("dev"))?;
    File::create(rootfs.join("dev/null"))?;
    for index in 0..config.libraries.len() {
        fs::create_dir_all(rootfs.join(&library_inside(index).to_string_lossy()[1..]))?;
    }
    Ok(())
}

fn oci_config(config: &OuterConfig) -> Value {
    let mut mounts = vec![json!({
        "destination": "/dev", "type": "dev", "source": "dev",
    })];
    for (index, mount) in config.libraries.iter().enumerate() {
        mounts.push(json!({
            "destination": library_inside(index), "type": "bind", "source": mount.source,
            "options": ["rbind", "ro", "nosuid", "nodev"],
        }));
    }
    let sets = ["bounding", "effective", "permitted"];
    let capabilities: Value = sets.iter().map(|set| (*set, json!(CAPABILITIES))).collect();
    let namespaces = ["pid", "mount", "ipc", "uts", "network"];
    let namespaces: Value = namespaces
        .iter()
        .map(|kind| json!({ "type": kind }))
        .collect();
    let mut rlimits = vec![json!({ "type": "RLIMIT_CORE", "hard": 0, "soft": 0 })];
    if let Some(bytes) = config.memory {
        rlimits.push(json!({ "type": "RLIMIT_AS", "hard": bytes, "soft": bytes }));
    }
    json!({
        "ociVersion": "1.0.0",
        "process": {
            "user": { "uid": 0, "gid": 0 },
            "args": [PROGRAM],
            "cwd": "/",
            "env": [],
            "noNewPrivileges": true,
            "capabilities": capabilities,
            "rlimits": rlimits,
        },
        "root": { "path": "rootfs", "readonly": true },
        "hostname": "roma",
        "mounts": mounts,
        "linux": { "namespaces": namespaces },
    })
}

fn command(config: &OuterConfig, instance: &RunDir, bundle: &Path) -> Command {
    let mut command = Command::new(&config.runsc.path);
    command.arg("--root").arg(runsc_root(instance.path()));
    command.args(["--network=none", "--ignore-cgroups"]);
    command.args(config.runsc.options());
    let platform = match config.platform {
        // Not resolved: gVisor's own default.
        Platform::Auto => Platform::Systrap,
        named => named,
    };
    command.arg(format!("--platform={platform}"));
    if !may_administer() {
        command.arg("--rootless");
    }
    if config.mode == Mode::GvisorDebug {
        let log = instance.debug_log();
        tracing::warn!(log = %log.display(), "gVisor logs what UDFs do, including private data");
        command.args(["--debug", "--strace"]);
        command.arg(format!("--debug-log={}/", log.display()));
    }
    command
        .args(["run", "--bundle"])
        .arg(bundle)
        .arg(instance.name());
    command.current_dir(bundle);
    command
}

/// Returns whether runsc may make its namespaces without a user namespace. The root of a container
/// usually may not; with a user namespace of its own, runsc needs no privilege.
fn may_administer() -> bool {
    nix::unistd::geteuid().is_root()
        && caps::effective().is_ok_and(|set| set.has(Capability::SysAdmin))
}

/// Starts runsc so that `CPUID` does not trap, which costs UDFs more than all their system calls. Uses
/// a thread of its own, because the setting cannot be undone.
#[cfg(target_arch = "x86_64")]
pub(super) fn start(command: &mut Command) -> io::Result<Child> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, || {
            if let Err(error) = roma_sandbox::seccomp::cpuid::leave_to_processor() {
                tracing::warn!(%error, "programs in gVisor will start more slowly");
            }
            command.spawn()
        })?;
        thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the thread that starts runsc ended")))
    })
}

#[cfg(not(target_arch = "x86_64"))]
pub(super) fn start(command: &mut Command) -> io::Result<Child> {
    command.spawn()
}

fn runsc_root(instance: &Path) -> PathBuf {
    instance.join("runsc")
}

/// Ends a container, if it exists, and waits until runsc has removed its files.
pub(crate) fn end_container(runsc: &Path, instance: &Path, name: &str) {
    let root = runsc_root(instance);
    let holds_any = fs::read_dir(&root).is_ok_and(|mut entries| entries.next().is_some());
    if !holds_any {
        return;
    }
    let child = Command::new(runsc)
        .arg("--root")
        .arg(&root)
        .args(["delete", "--force", name])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else { return };
    let until = Instant::now() + DELETE_TIME;
    while matches!(child.try_wait(), Ok(None)) && Instant::now() < until {
        std::thread::sleep(super::POLL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::LibraryMount;
    use crate::programs::Runsc;
    use crate::renewal::Renewal;

    fn config() -> OuterConfig {
        OuterConfig {
            mode: Mode::Gvisor,
            platform: Platform::Ptrace,
            run_dir: "/run".into(),
            run_workers: "/bin/run_workers".into(),
            runsc: Runsc::default(),
            libraries: vec![
                LibraryMount::at("/opt/a", "/lib"),
                LibraryMount::same("/usr/lib"),
            ],
            memory: Some(1 << 30),
            watchdog: Duration::from_secs(10),
            renewal: Renewal::default(),
        }
    }

    #[test]
    fn the_container_has_no_network_and_read_only_libraries() {
        let value = oci_config(&config());
        assert_eq!(value["root"]["readonly"], true);
        assert_eq!(value["process"]["noNewPrivileges"], true);
        for mount in &value["mounts"].as_array().unwrap()[1..] {
            assert!(mount["options"].as_array().unwrap().contains(&json!("ro")));
        }
        assert_eq!(value["mounts"][1]["source"], "/opt/a");
        assert_eq!(value["mounts"][1]["destination"], "/libraries/0");
        assert!(
            value["linux"]["namespaces"]
                .as_array()
                .unwrap()
                .contains(&json!({"type": "network"}))
        );
        assert_eq!(value["process"]["rlimits"][1]["hard"], 1 << 30);
    }

    #[test]
    fn runsc_gets_the_platform_and_no_network_or_cgroups() {
        let scratch = tempfile::tempdir().unwrap();
        let instance = RunDir::create(&scratch.path().join("run")).unwrap();
        let command = command(&config(), &instance, instance.path());
        let arguments: Vec<_> = command.get_args().map(|a| a.to_string_lossy()).collect();
        for expected in ["--network=none", "--ignore-cgroups", "--platform=ptrace"] {
            assert!(
                arguments.iter().any(|a| a == expected),
                "{expected} in {arguments:?}"
            );
        }
    }
}
