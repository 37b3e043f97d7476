//! Which system calls the filter denies to a UDF: asked again, while its calls are watched.

mod sentry_log;
mod trace;

use roma_byob::{Mode, SyscallFilter};
use roma_sandbox::seccomp::may_deny;
use syscalls::Sysno;

use super::trial::{Question, Setting, run};
use crate::output::terminal::progress;

/// What was seen of the denied calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// The names of the calls, each once; the one that was denied last is the first.
    Calls(Vec<String>),
    /// They could not be watched, for this reason.
    Unseen(String),
}

/// Repeats a trial and returns the calls that its filter denied.
pub async fn calls(question: &Question, setting: Setting) -> Denied {
    progress("Looking for the system calls that are denied ...");
    let seen = match question.target.mode().is_gvisor() {
        true => in_gvisor(question, setting).await,
        false => on_linux(question, setting).await,
    };
    match seen {
        Ok(numbers) => Denied::Calls(names(&numbers, setting.filter)),
        Err(error) => Denied::Unseen(format!("{error:#}")),
    }
}

/// gVisor's debug log has the numbers.
async fn in_gvisor(question: &Question, setting: Setting) -> anyhow::Result<Vec<u32>> {
    let folder = sentry_log::Folder::make(&question.target.builder())?;
    let builder = question.target.builder().run_dir(folder.path());
    run(
        question,
        setting,
        builder.mode(Mode::GvisorDebug),
        || Ok(()),
    )
    .await?;
    folder.denied()
}

async fn on_linux(question: &Question, setting: Setting) -> anyhow::Result<Vec<u32>> {
    let mut tracer = None;
    run(question, setting, question.target.builder(), || {
        tracer = Some(trace::Tracer::of_children()?);
        Ok(())
    })
    .await?;
    match tracer {
        Some(tracer) => tracer.failed_calls(),
        None => anyhow::bail!("the service did not start again"),
    }
}

/// Returns the names of those that the filter may deny, without repetitions, the last one first.
fn names(numbers: &[u32], filter: SyscallFilter) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for number in numbers.iter().rev() {
        let name = name(*number);
        if may_deny(filter.into(), *number) && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn name(number: u32) -> String {
    match Sysno::new(number as usize) {
        Some(call) => call.name().to_owned(),
        None => format!("number {number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_named_once_and_the_last_one_first() {
        let number = |call: Sysno| call.id() as u32;
        let numbers = [Sysno::bind, Sysno::read, Sysno::clone3, Sysno::bind].map(number);
        assert_eq!(names(&numbers, SyscallFilter::Strict), ["bind", "clone3"]);
        assert!(names(&numbers, SyscallFilter::None).is_empty());
        assert_eq!(names(&[9999], SyscallFilter::Engine), ["number 9999"]);
    }
}
