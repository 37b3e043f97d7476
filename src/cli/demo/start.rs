//! The first part: a service starts.

use std::io::Write;
use std::pin::pin;
use std::time::Instant;

use anyhow::Result;
use roma_byob::{Mode, Service};

use super::measuring::{self, Measured};
use super::screen::Screen;
use crate::error::Explain;
use crate::options::target::Target;
use crate::output::summary::brief;
use crate::output::terminal::Colour;

/// Starts a service, and prints what that does and which processes it started.
pub async fn start<W: Write>(target: &Target, screen: &mut Screen<W>) -> Result<Service> {
    screen.heading("1. A service starts")?;
    let since = Instant::now();
    let service = started(target, screen).await?;
    let took = brief(since.elapsed());
    screen.say(&format!("Up after {took}: {}.", sandboxes(&service)))?;
    if service.mode() == Mode::Minimal {
        screen.warn("*** WARNING: gVisor is DISABLED (mode minimal). ***")?;
        screen.warn(
            "Programs run on this machine's own kernel: a single defect in it can let them out. \
             This is for development. DO NOT USE IT IN PRODUCTION.",
        )?;
    }
    Ok(service)
}

async fn started<W: Write>(target: &Target, screen: &mut Screen<W>) -> Result<Service> {
    let mut measurements = measuring::listen();
    let mut starting = pin!(target.builder().banner(false).start());
    let started = loop {
        tokio::select! {
            biased;
            Some(measured) = measurements.recv() => {
                print(&measured, screen)?;
            }
            started = &mut starting => break started,
        }
    };
    while let Ok(measured) = measurements.try_recv() {
        print(&measured, screen)?;
    }
    Ok(started.inspect_err(explain)?)
}

fn print<W: Write>(measured: &Measured, screen: &mut Screen<W>) -> std::io::Result<()> {
    if measured.platform.is_empty() {
        return screen.say(
            "The first start on a machine measures which of gVisor's platforms is the fastest \
             there, and remembers it. A process takes:",
        );
    }
    let label = format!("  on {}", measured.platform);
    screen.row(&label, &measured.time, Colour::Grey)
}

fn sandboxes(service: &Service) -> String {
    let processes = service.sandbox_processes();
    let what = match (service.mode(), processes.len()) {
        (Mode::Minimal, _) => "a sandbox WITHOUT gVisor".to_owned(),
        (Mode::External, _) => "a sandbox inside this container's own".to_owned(),
        (Mode::Gvisor | Mode::GvisorDebug, 1) => "one gVisor sandbox".to_owned(),
        (Mode::Gvisor | Mode::GvisorDebug, count) => format!("{count} gVisor sandboxes"),
    };
    let platform = service.platform();
    let platform = platform.map_or_else(String::new, |name| format!(" on {name}"));
    format!("{what}{platform} ({})", named(&processes))
}

/// Returns process ids as words.
pub fn named(processes: &[u32]) -> String {
    let ids: Vec<_> = processes.iter().map(u32::to_string).collect();
    match &ids[..] {
        [] => "no process".to_owned(),
        [id] => format!("process {id}"),
        [ids @ .., last] => format!("processes {} and {last}", ids.join(", ")),
    }
}

fn explain(error: &roma_byob::Error) {
    eprintln!(
        "\n*** The service did not start. ***\n{}\n",
        error.explained()
    );
    eprintln!("What may help:");
    eprintln!("  - roma doctor: whether Roma works on this machine, and how to fix what does not");
    eprintln!("  - a runsc that works here: name it with --runsc or ROMA_RUNSC");
    eprintln!("  - inside containers: the flags that docs/containers.md lists");
    eprintln!("  - another platform: --platform ptrace");
    eprintln!("  - for development only, without gVisor: --mode minimal, or DISABLE_GVISOR=true\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_listed_in_words() {
        assert_eq!(named(&[]), "no process");
        assert_eq!(named(&[7]), "process 7");
        assert_eq!(named(&[7, 8]), "processes 7 and 8");
        assert_eq!(named(&[7, 8, 9]), "processes 7, 8 and 9");
    }
}
