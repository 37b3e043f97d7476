//! Checks of the trials of a UDF.

use std::time::Duration;

use prost_reflect::MethodDescriptor;
use roma_byob::{Error, ExitStatus, LogTail, Mode, Readiness, Report, ResponseError};

use super::binary::human;
use super::denied::Denied;
use super::trial::{Answer, FEW_DESCRIPTORS, Got, Trial};
use crate::error::Explain;
use crate::options::descriptors::decode;
use crate::output::checks::Check;
use crate::output::summary::short;

/// The request that a UDF got.
#[derive(Debug)]
pub struct Asked {
    pub mode: Mode,
    pub method: Option<MethodDescriptor>,
    /// Whether the user gave the request; otherwise it is empty.
    pub given: bool,
    pub limit: Duration,
}

/// Returns the checks of the trials, of which there must be at least one.
pub fn judge(trials: &[Trial], denied: Option<&Denied>, asked: &Asked) -> Vec<Check> {
    let (Some(first), Some(last)) = (trials.first(), trials.last()) else {
        return Vec::new();
    };
    match &last.got {
        Got::Nowhere(error) => vec![Check::failed("sandbox", error.explained()).fix(format!(
            "roma doctor --mode {} says what is missing",
            asked.mode
        ))],
        Got::Answered(answer) => {
            let mut checks = vec![filter(first, last, denied)];
            checks.extend(answered(first, last, answer, asked));
            checks
        }
        Got::Unloaded(_) | Got::Unanswered(_) => unanswered(trials, asked),
    }
}

fn answered(first: &Trial, last: &Trial, answer: &Answer, asked: &Asked) -> Vec<Check> {
    vec![
        Check::ok("load", format!("in {}", short(answer.load))),
        readiness(first.setting.readiness, last.setting.readiness),
        start_up(answer),
        response(answer, asked),
        exit(&answer.report),
        descriptors(answer.few_descriptors),
        output(answer.report.logs.as_ref()),
        usage(&answer.report),
    ]
}

fn filter(first: &Trial, last: &Trial, denied: Option<&Denied>) -> Check {
    let (wanted, level) = (first.setting.filter, last.setting.filter);
    let why = match &first.got {
        Got::Unloaded(error) | Got::Unanswered(error) if wanted != level => error,
        _ => return Check::ok("filter", format!("it answers at level {level}")),
    };
    let found = format!(
        "it answers at level {level}, but not at level {wanted}, where {}",
        why.explained()
    );
    let mut without = "what the filter denies (docs/udf/syscalls.md lists it)";
    let more = match denied {
        Some(Denied::Calls(names)) if !names.is_empty() => {
            without = &names[0];
            format!("\nThe filter denies it {}", last_of(names))
        }
        Some(Denied::Unseen(reason)) => {
            format!("\nWhich system calls the filter denies could not be seen: {reason}")
        }
        _ => String::new(),
    };
    Check::failed("filter", found + &more).fix(format!(
        "do without {without}, or have it loaded at level {level}, and verify it with --filter {level}"
    ))
}

/// Returns a text for names of which the first is the call that was denied last.
fn last_of(names: &[String]) -> String {
    match names {
        [last, before @ ..] if !before.is_empty() => format!("{last}, after {}", before.join(", ")),
        _ => names.join(""),
    }
}

fn readiness(asked: Readiness, protocol: Readiness) -> Check {
    const NAME: &str = "readiness";
    match (asked, protocol) {
        (Readiness::Byte, Readiness::Byte) => Check::ok(NAME, "it writes a byte when it is ready"),
        (Readiness::Byte, Readiness::None) => Check::failed(
            NAME,
            "it speaks only the older protocol, without a byte when it is ready",
        )
        .fix(
            "write one byte to descriptor 3 before reading the request (roma_udf does), or have it \
             loaded with Readiness::None, and verify it with --readiness none",
        ),
        (Readiness::None, Readiness::None) => Check::weak(
            NAME,
            "it writes no byte when it is ready: requests wait while it starts",
        )
        .fix("write one byte to descriptor 3 before reading the request (roma_udf does)"),
        (Readiness::None, Readiness::Byte) => Check::failed(
            NAME,
            "it writes a byte when it is ready, which is taken for a part of its response",
        )
        .fix("have it loaded with Readiness::Byte, and verify it without --readiness none"),
    }
}

fn start_up(answer: &Answer) -> Check {
    let times: Vec<_> = answer.again.iter().map(|o| o.report.times.queue).collect();
    let Some(median) = median(times) else {
        return Check::skipped("start-up", "it was not measured");
    };
    Check::ok(
        "start-up",
        format!("{} (median of {})", short(median), answer.again.len()),
    )
}

fn median(mut times: Vec<Duration>) -> Option<Duration> {
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}

fn response(answer: &Answer, asked: &Asked) -> Check {
    const NAME: &str = "answer";
    let failures: Vec<_> = answer
        .again
        .iter()
        .filter_map(|o| o.result.as_ref().err())
        .collect();
    if let Some(failure) = failures.first() {
        let counts = format!("{} of {}", failures.len(), answer.again.len());
        return Check::failed(
            NAME,
            format!(
                "not each time: {counts} more times, {}",
                failure.explained()
            ),
        )
        .fix(fix_for(failure, asked));
    }
    let times = &answer.report.times;
    let size = human(answer.response.len() as u64);
    let found = format!("{size} after {}", short(times.send + times.run));
    let Some(method) = &asked.method else {
        return Check::ok(NAME, found);
    };
    match decode(&method.output(), &answer.response) {
        Ok(json) => Check::ok(NAME, format!("{found}: {}", shortened(&json))),
        Err(error) => Check::failed(NAME, format!("{found}, but {error:#}"))
            .fix(format!("answer with a {}", method.output().full_name())),
    }
}

/// Returns the beginning of a text, in one line.
fn shortened(text: &str) -> String {
    const MOST: usize = 200;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{} ...", &line[..end]),
        None => line,
    }
}

fn exit(report: &Report) -> Check {
    const NAME: &str = "exit";
    let Some(exit) = &report.exit else {
        return Check::weak(NAME, "it is not known how it ended").fix("verify it once more");
    };
    match exit.status {
        ExitStatus::Code(0) => Check::ok(NAME, "with code 0, after its answer"),
        // A service sends this signal to a process that does not end by itself.
        ExitStatus::Signal(9) => {
            Check::weak(NAME, "it does not end after its answer and is killed")
                .fix("exit once the response is written: until then it takes the place of another")
        }
        status => Check::weak(NAME, format!("its answer counts, but then it {status}"))
            .fix("exit with code 0: other ends look like crashes to monitoring"),
    }
}

fn descriptors(few: bool) -> Check {
    match few {
        true => Check::ok(
            "descriptors",
            format!("{FEW_DESCRIPTORS} are enough for it"),
        ),
        false => Check::weak(
            "descriptors",
            format!("it does not answer with {FEW_DESCRIPTORS} of them, only with more"),
        )
        .fix("close what it does not need, or see that Limits::open_files is large enough"),
    }
}

fn output(logs: Option<&LogTail>) -> Check {
    let printed = logs.filter(|logs| !logs.text.is_empty() || logs.dropped > 0);
    let Some(logs) = printed else {
        return Check::ok("output", "it prints nothing");
    };
    let bytes = human(logs.text.len() as u64 + logs.dropped);
    let found = format!("it prints {bytes}: {}", shortened(&logs.text));
    Check::weak("output", found)
        .fix("print nothing in production: it takes time, and is dropped unless logs are asked for")
}

fn usage(report: &Report) -> Check {
    let Some(exit) = &report.exit else {
        return Check::skipped("use", "it is not known");
    };
    let (time, memory) = (exit.usage.cpu_time(), exit.usage.peak_memory);
    Check::ok(
        "use",
        format!("{} of CPU, {} of memory", short(time), human(memory)),
    )
}

/// The checks of a UDF that does not respond, for the protocol with which it came further.
fn unanswered(trials: &[Trial], asked: &Asked) -> Vec<Check> {
    let older = trials.iter().find(|trial| speaks_the_older_protocol(trial));
    let Some(told) = older.or(trials.first()) else {
        return Vec::new();
    };
    let filter = at_no_level(trials);
    let asked_for = trials.first().map_or(told, |first| first).setting.readiness;
    let failed =
        |name, error: &Error| Check::failed(name, error.explained()).fix(fix_for(error, asked));
    let rest = |name| Check::skipped(name, "it does not answer");
    let [load, ready, answer] = match &told.got {
        Got::Unloaded(error @ (Error::NeverReady { .. } | Error::StartCrashed { .. })) => {
            [rest("load"), failed("readiness", error), rest("answer")]
        }
        Got::Unloaded(error) => [failed("load", error), rest("readiness"), rest("answer")],
        Got::Unanswered(error) => [
            Check::ok("load", "it can be loaded"),
            readiness(asked_for, told.setting.readiness),
            failed("answer", error),
        ],
        Got::Nowhere(_) | Got::Answered(_) => ["load", "readiness", "answer"].map(rest),
    };
    let start_up = rest("start-up");
    let mut checks = vec![filter, load, ready, start_up, answer];
    checks.extend(["exit", "descriptors", "output", "use"].map(rest));
    checks
}

/// Returns whether it reacts to a request without having sent the readiness byte.
fn speaks_the_older_protocol(trial: &Trial) -> bool {
    let reacts = match &trial.got {
        Got::Unanswered(error) => !matches!(error, Error::Deadline { .. }),
        _ => false,
    };
    trial.setting.readiness == Readiness::None && reacts
}

fn at_no_level(trials: &[Trial]) -> Check {
    match trials.iter().all(Trial::is_udfs_fault) {
        true => Check::ok("filter", "not the reason: it fails at level none, too"),
        false => Check::skipped("filter", "it does not answer"),
    }
}

/// Returns what its developer can do.
fn fix_for(error: &Error, asked: &Asked) -> String {
    let limit = asked.limit;
    match error {
        Error::NeverReady { .. } => format!(
            "write one byte to descriptor 3 before reading the request (roma_udf does), within \
             {limit:?} (--deadline)"
        ),
        Error::StartCrashed { .. } => {
            "let it start without a request: with no file but itself, no environment, no network"
                .to_owned()
        }
        Error::Died { .. } if !asked.given => {
            "the request was empty. Give it one that it can answer: --proto FILE --rpc NAME \
             --request JSON"
                .to_owned()
        }
        Error::Died { .. } => "write the response before it ends".to_owned(),
        Error::Deadline { .. } => format!("answer within {limit:?}, or allow more: --deadline"),
        Error::Response(defect) => response_fix(defect).to_owned(),
        Error::Engine(_) => "see above what it needs".to_owned(),
        _ => format!(
            "if others load: the binary; if not: roma doctor --mode {}",
            asked.mode
        ),
    }
}

fn response_fix(defect: &ResponseError) -> &'static str {
    match defect {
        ResponseError::Missing => "keep descriptor 3 open until the response is written",
        ResponseError::Early => {
            "write nothing but the byte that says it is ready before the request is there"
        }
        ResponseError::Truncated => "write as many bytes as the length in front announces",
        ResponseError::Oversize { .. } => "answer with less, or raise LoadOptions::max_response",
        ResponseError::Malformed => "write the response's length as a varint in front of it",
        ResponseError::Trailing => "write one response, and nothing after it",
        _ => "answer with the message of the API",
    }
}

#[cfg(test)]
mod tests {
    use roma_byob::{Exit, SyscallFilter, Usage};

    use super::*;
    use crate::output::checks::Verdict;
    use crate::verify::trial::Setting;

    fn asked() -> Asked {
        Asked {
            mode: Mode::Minimal,
            method: None,
            given: false,
            limit: Duration::from_secs(5),
        }
    }

    fn trial(filter: SyscallFilter, got: Got) -> Trial {
        let readiness = Readiness::Byte;
        Trial {
            setting: Setting { filter, readiness },
            got,
        }
    }

    fn died() -> Error {
        Error::Died {
            exit: Exit {
                status: ExitStatus::Code(7),
                usage: Usage::default(),
            },
            log_tail: "no io_uring".into(),
        }
    }

    fn verdict(checks: &[Check], name: &str) -> Verdict {
        let mut found = checks.iter().filter(|check| check.name == name);
        let check = found.next().unwrap();
        assert!(found.next().is_none(), "{name} twice");
        check.verdict
    }

    #[test]
    fn a_failure_at_every_level_is_not_blamed_on_the_filter() {
        let levels = [
            SyscallFilter::Strict,
            SyscallFilter::Engine,
            SyscallFilter::None,
        ];
        let trials = levels.map(|filter| trial(filter, Got::Unanswered(died())));
        let checks = judge(&trials, None, &asked());
        assert_eq!(verdict(&checks, "load"), Verdict::Ok);
        assert_eq!(verdict(&checks, "filter"), Verdict::Ok);
        assert_eq!(verdict(&checks, "readiness"), Verdict::Ok);
        assert_eq!(verdict(&checks, "answer"), Verdict::Failed);
        assert_eq!(verdict(&checks, "exit"), Verdict::Skipped);
    }

    #[test]
    fn a_response_without_a_readiness_byte_means_the_older_protocol() {
        let never = Error::NeverReady {
            limit: Duration::from_secs(5),
            log_tail: String::new(),
        };
        let mut trials = vec![
            trial(SyscallFilter::None, Got::Unloaded(never)),
            trial(SyscallFilter::None, Got::Unanswered(died())),
        ];
        trials[1].setting.readiness = Readiness::None;
        let checks = judge(&trials, None, &asked());
        assert_eq!(verdict(&checks, "readiness"), Verdict::Failed);
        assert_eq!(verdict(&checks, "answer"), Verdict::Failed);
        let limit = Duration::from_secs(5);
        trials[1].got = Got::Unanswered(Error::Deadline { limit });
        let checks = judge(&trials, None, &asked());
        assert_eq!(verdict(&checks, "readiness"), Verdict::Failed);
    }

    #[test]
    fn a_failure_at_the_level_asked_for_is_reported_with_its_reason_and_the_denied_calls() {
        let first = trial(SyscallFilter::Strict, Got::Unanswered(died()));
        let last = trial(SyscallFilter::Engine, Got::Nowhere(Error::ShutDown));
        let calls = ["bind", "clone3"].map(str::to_owned).to_vec();
        let check = filter(&first, &last, Some(&Denied::Calls(calls)));
        assert_eq!(check.verdict, Verdict::Failed);
        for part in [
            "level engine",
            "level strict",
            "code 7",
            "no io_uring",
            "it bind, after clone3",
        ] {
            assert!(check.found.contains(part), "{part}: {}", check.found);
        }
        assert!(check.fix.unwrap().starts_with("do without bind"));
        let unseen = Denied::Unseen("EPERM".to_owned());
        let check = filter(&first, &last, Some(&unseen));
        assert!(check.found.ends_with("could not be seen: EPERM"));
    }

    #[test]
    fn a_protocol_that_was_not_asked_for_fails() {
        let both = [Readiness::Byte, Readiness::None];
        let verdicts = both.map(|asked| both.map(|spoken| readiness(asked, spoken).verdict));
        use Verdict::{Failed, Ok, Weak};
        assert_eq!(verdicts, [[Ok, Failed], [Failed, Weak]]);
    }

    #[test]
    fn a_service_that_does_not_start_is_not_blamed_on_the_udf() {
        let trials = [trial(SyscallFilter::Strict, Got::Nowhere(Error::ShutDown))];
        let checks = judge(&trials, None, &asked());
        assert_eq!(checks.len(), 1);
        assert_eq!(verdict(&checks, "sandbox"), Verdict::Failed);
        assert!(checks[0].fix.as_ref().unwrap().contains("doctor"));
    }

    #[test]
    fn advice_of_the_engine_is_shown_with_the_failure() {
        let error = crate::error::fixable();
        let advice = error.advice().unwrap();
        for got in [Got::Nowhere(error.clone()), Got::Unloaded(error.clone())] {
            let checks = judge(&[trial(SyscallFilter::None, got)], None, &asked());
            let failed = checks.iter().find(|check| check.verdict == Verdict::Failed);
            let found = &failed.unwrap().found;
            assert!(found.ends_with(&format!("To fix it: {advice}")), "{found}");
        }
    }

    #[test]
    fn an_empty_request_is_named_as_the_likely_reason() {
        assert!(fix_for(&died(), &asked()).contains("--request"));
        let given = Asked {
            given: true,
            ..asked()
        };
        assert!(!fix_for(&died(), &given).contains("--request"));
    }

    #[test]
    fn long_answers_are_shortened() {
        assert_eq!(shortened("{\n  \"a\": 1\n}"), "{ \"a\": 1 }");
        assert_eq!(shortened(&"é".repeat(300)).chars().count(), 204);
    }

    #[test]
    fn the_median_is_one_of_them() {
        let times = [5, 1, 9].map(Duration::from_secs).to_vec();
        assert_eq!(median(times), Some(Duration::from_secs(5)));
        assert_eq!(median(Vec::new()), None);
    }
}
