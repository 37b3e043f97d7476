//! The proof that a mode works: starts a service, loads a UDF and sends it a request.

use std::fs::OpenOptions;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use prost::Message;
use roma_byob::{ExecuteOptions, LoadOptions, Mode, Platform, Service, ServiceBuilder};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::DoctorArgs;
use super::programs::Programs;
use crate::error::Explain;
use crate::output::checks::{Check, Verdict};
use crate::output::summary::short;
use crate::output::terminal::progress;

/// The time after which a mode counts as not working.
const PATIENCE: Duration = Duration::from_secs(120);
/// The time after which kvm counts as hanging, as it may in virtual machines. Others get [`PATIENCE`]: on a
/// busy machine a start takes seconds.
const KVM_PATIENCE: Duration = Duration::from_secs(10);

/// The sample API's message, of which the echo UDF returns a copy.
#[derive(Clone, PartialEq, Message)]
struct Echo {
    #[prost(bytes = "vec", tag = "1")]
    message: Vec<u8>,
}

/// The times that a successful proof took.
struct Proof {
    platform: Option<Platform>,
    start: Duration,
    answer: Duration,
}

/// Tries each of gVisor's platforms.
pub async fn platforms(arguments: &DoctorArgs, programs: &Programs) -> Vec<Check> {
    let mut checks = Vec::new();
    for platform in [Platform::Systrap, Platform::Ptrace, Platform::Kvm] {
        let name = format!("platform {platform}");
        progress(&format!("Trying {name} ..."));
        checks.push(match needs(&Mode::Gvisor, programs) {
            _ if platform == Platform::Kvm && !may_use_kvm() => {
                Check::skipped(&name, "no /dev/kvm that this user may open")
            }
            Err(missing) => Check::skipped(&name, format!("{missing} is missing")),
            Ok(echo) => {
                let patience = match platform {
                    Platform::Kvm => KVM_PATIENCE,
                    _ => PATIENCE,
                };
                let tried = prove(arguments.builder().platform(platform), echo);
                judge(&name, timeout(patience, tried).await)
            }
        });
    }
    checks
}

fn judge(name: &str, tried: Result<anyhow::Result<Proof>, Elapsed>) -> Check {
    match tried {
        Ok(Ok(proof)) => Check::ok(name, proof.to_string()),
        Ok(Err(error)) => Check::weak(name, error.explained()).fix(USE_ANOTHER),
        Err(_) => Check::weak(name, "hangs").fix(USE_ANOTHER),
    }
}

const USE_ANOTHER: &str = "none, if another platform works: --platform auto finds it";

fn may_use_kvm() -> bool {
    let mut device = OpenOptions::new();
    device.read(true).write(true).open("/dev/kvm").is_ok()
}

/// Tries a mode as a service would use it. If it fails, names the earlier checks to fix first.
pub async fn mode(
    mode: Mode,
    arguments: &DoctorArgs,
    programs: &Programs,
    before: &[Check],
) -> Check {
    let name = format!("mode {mode}");
    progress(&format!("Trying {name} ..."));
    let echo = match needs(&mode, programs) {
        Ok(echo) => echo,
        Err(missing) => {
            return Check::missing(&name, format!("{missing} is missing"))
                .fix(format!("that of {missing}, above"));
        }
    };
    match timeout(PATIENCE, prove(arguments.builder().mode(mode), echo)).await {
        Ok(Ok(proof)) => Check::ok(&name, proof.to_string()),
        Ok(Err(error)) => Check::missing(&name, error.explained()).fix(advice(mode, before)),
        Err(_) => Check::missing(&name, "hangs").fix(advice(mode, before)),
    }
}

/// Returns the echo UDF, or the name of a program that this mode needs and that is missing.
fn needs<'a>(mode: &Mode, programs: &'a Programs) -> Result<&'a Path, &'static str> {
    if mode.is_gvisor() && programs.runsc.is_none() {
        return Err("runsc");
    }
    if programs.run_workers.is_none() {
        return Err("run_workers");
    }
    programs.echo.as_deref().ok_or("echo UDF")
}

/// The checks whose failure keeps a mode from working.
const STANDS_IN_THE_WAY: [&str; 6] = [
    "kernel",
    "architecture",
    "user",
    "user namespaces",
    "seccomp",
    super::run_dir::NAME,
];

/// Returns what may help if a mode does not work although its programs exist.
fn advice(mode: Mode, before: &[Check]) -> String {
    let suspects: Vec<_> = before
        .iter()
        .filter(|check| !matches!(check.verdict, Verdict::Ok | Verdict::Skipped))
        .map(|check| check.name.as_str())
        .filter(|name| STANDS_IN_THE_WAY.contains(name))
        .collect();
    match (suspects.is_empty(), mode) {
        (false, _) => format!("first those above: {}", suspects.join(", ")),
        (true, Mode::Minimal) => "run as root, or where user namespaces are allowed".to_owned(),
        (true, _) => "in a container: with the flags of docs/containers.md; elsewhere: run as \
                      root. For development, use --mode minimal"
            .to_owned(),
    }
}

async fn prove(builder: ServiceBuilder, udf: &Path) -> anyhow::Result<Proof> {
    let since = Instant::now();
    let service = builder.start().await?;
    let start = since.elapsed();
    let answer = ask(&service, udf).await;
    let platform = service.platform();
    service.shutdown().await;
    Ok(Proof {
        platform,
        start,
        answer: answer?,
    })
}

async fn ask(service: &Service, udf: &Path) -> anyhow::Result<Duration> {
    let code = service
        .load(udf, LoadOptions::with_workers(1))
        .await
        .context("a service starts, but loads no UDF")?;
    let question = Echo {
        message: b"how do you do".to_vec(),
    };
    let since = Instant::now();
    let options = ExecuteOptions {
        queue_timeout: PATIENCE,
        ..Default::default()
    };
    let answer: Echo = service
        .call(&code, &question, options)
        .await
        .context("a UDF is loaded, but does not answer")?;
    ensure!(answer == question, "the echo UDF does not echo");
    Ok(since.elapsed())
}

impl std::fmt::Display for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (start, answer) = (short(self.start), short(self.answer));
        write!(f, "started in {start}, answered in {answer}")?;
        match self.platform {
            Some(platform) => write!(f, " on {platform}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named() {
        let mut programs = Programs {
            run_workers: Some("/run_workers".into()),
            runsc: None,
            echo: Some("/echo".into()),
        };
        assert_eq!(needs(&Mode::Gvisor, &programs), Err("runsc"));
        assert_eq!(needs(&Mode::Minimal, &programs), Ok(Path::new("/echo")));
        programs.run_workers = None;
        assert_eq!(needs(&Mode::Minimal, &programs), Err("run_workers"));
    }

    #[test]
    fn advice_names_earlier_failures() {
        let before = [
            Check::ok("kernel", ""),
            Check::weak("seccomp", ""),
            Check::missing("user namespaces", ""),
            Check::skipped("platform kvm", ""),
            Check::weak("control groups", ""),
        ];
        let text = advice(Mode::Gvisor, &before);
        assert_eq!(text, "first those above: seccomp, user namespaces");
        assert!(advice(Mode::Gvisor, &before[..1]).contains("docs/containers.md"));
        assert!(advice(Mode::Minimal, &[]).contains("root"));
    }
}
