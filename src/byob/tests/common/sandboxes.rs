//! The processes of a service's sandboxes, and how to kill them.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use roma_byob::Service;
use roma_sandbox::cgroup::Hierarchies;

use super::processes::{all, command_line, descendants};
use super::{TestBed, until};

/// The first process of a service's first sandbox.
pub fn sandbox_process(service: &Service) -> Pid {
    Pid::from_raw(service.sandbox_processes()[0] as i32)
}

/// The processes of a service's first sandbox that are not workers: `run_workers` and spawners, or
/// gVisor's own. Empty while there is no sandbox.
pub fn processes_without_workers(bed: &TestBed, service: &Service) -> Vec<Pid> {
    let Some(sandbox) = service.sandbox_processes().first().copied() else {
        return Vec::new();
    };
    let sandbox = Pid::from_raw(sandbox as i32);
    let name = match bed.is_gvisor() {
        true => bed.run_dir_text(),
        false => "run_workers".to_owned(),
    };
    let all = descendants(sandbox).into_iter().chain([sandbox]);
    all.filter(|pid| command_line(*pid).contains(&name))
        .collect()
}

/// The processes whose command line names this test's run folder.
pub fn processes_in_run_dir(bed: &TestBed) -> impl Iterator<Item = Pid> {
    let run_dir = bed.run_dir_text();
    all().filter(move |pid| command_line(*pid).contains(&run_dir))
}

/// Kills all processes of a service's first sandbox.
pub fn kill_all_processes(bed: &TestBed, service: &Service) {
    let (first, run_dir) = (sandbox_process(service), bed.run_dir_text());
    let of_sandbox = |pid: &Pid| *pid == first || command_line(*pid).contains(&run_dir);
    let victims: Vec<_> = all().filter(of_sandbox).collect();
    for pid in victims {
        let _ = kill(pid, Signal::SIGKILL);
    }
}

/// Kills one of a service's sandboxes and waits until the service has noticed.
pub async fn kill_sandbox(service: &Service, index: usize) {
    let process = service.sandbox_processes()[index];
    kill(Pid::from_raw(process as i32), Signal::SIGKILL).unwrap();
    let is_noticed = || !service.sandbox_processes().contains(&process);
    until("the service has noticed", is_noticed).await;
}

/// The number of control groups for pools of the sandbox with this process.
pub fn control_groups(sandbox: Pid) -> usize {
    let prefix = format!("roma-{sandbox}-");
    let mut count = 0;
    Hierarchies::discover().for_each_group(|name| count += usize::from(name.starts_with(&prefix)));
    count
}
