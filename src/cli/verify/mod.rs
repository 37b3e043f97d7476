//! `roma verify`: whether a binary can be a UDF, and what its developer should fix.

mod binary;
mod denied;
mod judge;
mod trial;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use crate::error::WrongUse;
use crate::options::duration;
use crate::options::loading::LoadArgs;
use crate::options::request::{Given, RequestArgs};
use crate::options::target::Target;
use crate::output::checks::{Check, table};
use crate::output::terminal::{colours, end_progress};
use crate::samples::programs;
use judge::Asked;
use trial::Question;

/// What to verify, and how.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 if it is verified, 1 if it is not, 2 for a wrong use.

Each line is `ok`, `weak` (it works, but its developer should know), `failed` or
`skipped`. It is verified if no line is `failed`.

Without --request it is asked an empty one. If it does not answer with --filter and
--readiness, weaker filters and the other protocol are tried, to say what would do;
it is not verified then.")]
pub struct VerifyArgs {
    /// The binary.
    udf: PathBuf,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    load: LoadArgs,
    #[command(flatten)]
    request: RequestArgs,
    /// How long it may take to become ready, and then to respond.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration::parse)]
    deadline: Duration,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs all checks and prints the result.
pub async fn run(arguments: VerifyArgs) -> anyhow::Result<ExitCode> {
    let Given { method, request } = arguments.request.read().map_err(WrongUse::of)?;
    arguments.load.check().map_err(WrongUse::of)?;
    let question = Question {
        target: arguments.target.clone(),
        load: arguments.load.clone(),
        options: arguments.load.options(1)?.keeping_logs(),
        binary: programs::read(&arguments.udf).map_err(WrongUse::of)?,
        request: request.clone().unwrap_or_default(),
        limit: arguments.deadline,
    };
    let asked = Asked {
        mode: arguments.target.mode(),
        method,
        given: request.is_some(),
        limit: question.limit,
    };
    let checks = verify(&arguments, &question, &asked).await?;
    let verified = !checks.iter().any(|check| check.verdict.is_bad());
    match arguments.json {
        true => println!("{:#}", report(&arguments, verified, &checks)),
        false => {
            print!("{}", table(&checks, colours()));
            let not = if verified { "" } else { "not " };
            println!("\n{} is {not}verified.", arguments.udf.display());
        }
    }
    Ok(ExitCode::from(u8::from(!verified)))
}

async fn verify(
    arguments: &VerifyArgs,
    question: &Question,
    asked: &Asked,
) -> anyhow::Result<Vec<Check>> {
    let mut checks = vec![permission(&arguments.udf)];
    let libraries = arguments.target.has_libraries();
    checks.extend(binary::look(&question.binary, libraries));
    if checks.iter().any(|check| check.verdict.is_bad()) {
        checks.push(Check::skipped("run", "it cannot be run as it is"));
        return Ok(checks);
    }
    let trials = trial::until_it_answers(question).await?;
    let denied = match (trials.first(), trials.last()) {
        (Some(first), Some(last)) if last.answers_only_at_a_weaker_level_than(first) => {
            Some(denied::calls(question, first.setting).await)
        }
        _ => None,
    };
    end_progress();
    checks.extend(judge::judge(&trials, denied.as_ref(), asked));
    Ok(checks)
}

fn permission(path: &Path) -> Check {
    let executable = fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o111 != 0);
    match executable {
        true => Check::ok("file", "executable"),
        false => {
            Check::failed("file", "not executable").fix(format!("chmod +x {}", path.display()))
        }
    }
}

fn report(arguments: &VerifyArgs, verified: bool, checks: &[Check]) -> Value {
    json!({
        "udf": arguments.udf,
        "mode": arguments.target.mode().to_string(),
        "verified": verified,
        "checks": checks.iter().map(Check::json).collect::<Vec<_>>(),
    })
}
