//! `roma bench compare`: what became faster or slower between two suites, with a confidence.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{anyhow, ensure};
use clap::Args;
use serde_json::{Value, json};

use super::record::{Case, Record, families};
use super::statistics::{Ratio, Verdict, least_count, median};
use crate::error::WrongUse;
use crate::output::summary::short;
use crate::output::terminal::{Colour, WIDTH, colours, painted, wrapped};

/// The width of the column of arguments.
const ARGUMENTS: usize = 30;
/// The number of names of benchmarks without a counterpart that are printed.
const TOLD: usize = 5;
/// The context that should be the same in both files.
const ALIKE: [&str; 4] = [
    "library_build_type",
    "num_cpus",
    "linux_kernel",
    "gvisor_platform",
];

/// What to compare.
#[derive(Debug, Args)]
#[command(after_help = "\
The ratio is that of the median times: 0.50 is twice as fast. The interval
behind it is what the Mann-Whitney test does not rule out; where 1 is in it, no
difference can be told. Of a hundred benchmarks that did not change, about one
is called faster or slower all the same with a confidence of 99 percent.

Exit codes: 0, 1 if a benchmark became slower or fails, 2 for a wrong use:
files that are not there, or no results.")]
pub struct CompareArgs {
    /// The old results, written by `roma bench suite --json` or Google Benchmark.
    old: PathBuf,
    /// The new results.
    new: PathBuf,
    /// Confidence in percent.
    #[arg(long, value_name = "PERCENT", default_value = "99", value_parser = confidence)]
    confidence: f64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Parses a percentage.
fn confidence(text: &str) -> Result<f64, String> {
    let percent = text.parse().ok().filter(|it| (50.0..100.0).contains(it));
    let percent: f64 = percent.ok_or("it must be from 50 up to less than 100")?;
    Ok(percent / 100.0)
}

/// Compares two files and prints the result.
pub fn run(arguments: &CompareArgs) -> anyhow::Result<ExitCode> {
    let old = Record::read(&arguments.old).map_err(WrongUse::of)?;
    let new = Record::read(&arguments.new).map_err(WrongUse::of)?;
    let comparison = Comparison::of(&old, &new, arguments.confidence).map_err(WrongUse::of)?;
    match arguments.json {
        true => println!("{:#}", comparison.json()),
        false => print!("{}", comparison.text(colours())),
    }
    Ok(ExitCode::from(u8::from(comparison.is_worse())))
}

/// The old and the new times of one benchmark.
struct Pair<'a> {
    family: &'a str,
    arguments: &'a str,
    old: f64,
    new: f64,
    ratio: Ratio,
}

/// The comparison of two suites.
struct Comparison<'a> {
    confidence: f64,
    pairs: Vec<Pair<'a>>,
    /// The new failures, with their reasons.
    failed: Vec<(&'a str, &'a str)>,
    /// The benchmarks of which only one file has times.
    only_old: Vec<&'a str>,
    only_new: Vec<&'a str>,
    /// The smallest number of times of a benchmark.
    fewest: usize,
    /// The differences between the machines or programs.
    unlike: Vec<String>,
}

impl<'a> Comparison<'a> {
    fn of(old: &'a Record, new: &'a Record, confidence: f64) -> anyhow::Result<Self> {
        let unlike = unlike(old, new);
        let (old, new, all_new) = (timed(old), timed(new), new.cases());
        let only = |these: &[Case<'a>], others: &[Case<'a>]| -> Vec<&'a str> {
            let missing = |case: &&Case<'a>| !others.iter().any(|other| other.name == case.name);
            these.iter().filter(missing).map(|case| case.name).collect()
        };
        let both = || {
            let partner = |case: &Case<'a>| old.iter().find(|old| old.name == case.name).cloned();
            new.iter().filter_map(move |new| Some((partner(new)?, new)))
        };
        ensure!(both().next().is_some(), "they have no benchmark in common");
        let fewest = both()
            .map(|(old, new)| old.times().len().min(new.times().len()))
            .min();
        let failed = all_new
            .iter()
            .filter_map(|case| Some((case.name, case.failure()?)));
        Ok(Self {
            confidence,
            pairs: both()
                .map(|(old, new)| pair(&old, new, confidence))
                .collect(),
            failed: failed.collect(),
            only_old: only(&old, &new),
            only_new: only(&new, &old),
            unlike,
            fewest: fewest.ok_or_else(|| anyhow!("they have no times"))?,
        })
    }

    fn is_worse(&self) -> bool {
        !self.failed.is_empty() || self.count(Verdict::Slower) > 0
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.pairs
            .iter()
            .filter(|pair| pair.ratio.verdict() == verdict)
            .count()
    }

    fn text(&self, colours: bool) -> String {
        let mut text = format!(
            "{:<ARGUMENTS$}{:>10}{:>10}{:>6}{:>11}  {}\n",
            "Benchmark", "before", "now", "ratio", "interval", "verdict"
        );
        let mut last = "";
        for pair in &self.pairs {
            if pair.family != last {
                let _ = writeln!(text, "{}", pair.family);
                last = pair.family;
            }
            text.push_str(&pair.row(colours));
        }
        for remark in std::iter::once(self.summary()).chain(self.remarks()) {
            let _ = write!(text, "\n{}\n", wrapped(&remark, WIDTH).join("\n"));
        }
        text
    }

    fn summary(&self) -> String {
        format!(
            "{} faster, {} slower, {} with no measurable difference, {} % sure of each.",
            self.count(Verdict::Faster),
            self.count(Verdict::Slower),
            self.count(Verdict::Open),
            percent(self.confidence),
        )
    }

    fn remarks(&self) -> impl Iterator<Item = String> {
        let least = least_count(self.confidence);
        let few = (self.fewest < least).then(|| {
            format!(
                "Some have only {} repetitions: to be {} % sure takes {least}, before and now.",
                self.fewest,
                percent(self.confidence),
            )
        });
        let failed = self
            .failed
            .iter()
            .map(|(name, why)| format!("{name} failed: {why}"));
        let only = |names: &[&str], when: &str| {
            (!names.is_empty()).then(|| format!("Only {when}: {}", told(names)))
        };
        let only = [only(&self.only_old, "before"), only(&self.only_new, "now")];
        let unlike = (!self.unlike.is_empty())
            .then(|| format!("Not measured alike: {}.", self.unlike.join("; ")));
        unlike
            .into_iter()
            .chain(few)
            .chain(failed)
            .chain(only.into_iter().flatten())
    }

    fn json(&self) -> Value {
        let failed = self
            .failed
            .iter()
            .map(|(name, why)| json!({ "name": name, "failure": why }));
        json!({
            "confidence": self.confidence,
            "benchmarks": self.pairs.iter().map(Pair::json).collect::<Vec<_>>(),
            "failed": failed.collect::<Vec<_>>(),
            "only_before": self.only_old,
            "only_now": self.only_new,
            "unlike": self.unlike,
            "worse": self.is_worse(),
        })
    }
}

/// Returns the context values that differ.
fn unlike(old: &Record, new: &Record) -> Vec<String> {
    let differing = ALIKE.iter().filter_map(|name| {
        let (old, new) = (old.context.get(*name)?, new.context.get(*name)?);
        (old != new).then(|| format!("{name} was {old} and is {new}"))
    });
    differing.collect()
}

/// Returns some names, and the number of the others.
fn told(names: &[&str]) -> String {
    match names.len().saturating_sub(TOLD) {
        0 => names.join(" "),
        more => format!("{} and {more} more", names[..TOLD].join(" ")),
    }
}

/// Returns the benchmarks with times, grouped by family.
fn timed(record: &Record) -> Vec<Case<'_>> {
    let families = families(record.cases()).into_iter();
    let cases = families.flat_map(|(_, cases)| cases);
    cases.filter(|case| !case.times().is_empty()).collect()
}

fn pair<'a>(old: &Case<'a>, new: &Case<'a>, confidence: f64) -> Pair<'a> {
    let (family, arguments) = new.parts();
    let (old, new) = (old.times(), new.times());
    Pair {
        family,
        arguments,
        old: median(&old),
        new: median(&new),
        ratio: Ratio::of(&old, &new, confidence),
    }
}

impl Pair<'_> {
    fn row(&self, colours: bool) -> String {
        let mut text = format!("  {:<width$}", self.arguments, width = ARGUMENTS - 2);
        if text.chars().count() > ARGUMENTS {
            text = format!("{text}\n{:ARGUMENTS$}", "");
        }
        let time = |nanos: f64| short(Duration::from_secs_f64(nanos / 1e9));
        let (verdict, colour) = match self.ratio.verdict() {
            Verdict::Faster => ("faster", Some(Colour::Green)),
            Verdict::Slower => ("slower", Some(Colour::Red)),
            Verdict::Open => ("no telling", None),
        };
        let verdict = colour.map_or(verdict.to_owned(), |it| painted(verdict, it, colours));
        let interval = self.ratio.interval;
        let interval = interval.map(|(low, high)| format!("{}-{}", factor(low), factor(high)));
        format!(
            "{text}{:>10}{:>10}{:>6}{:>11}  {verdict}\n",
            time(self.old),
            time(self.new),
            factor(self.ratio.of_medians),
            interval.unwrap_or_default(),
        )
    }

    fn json(&self) -> Value {
        let name = format!("{}/{}", self.family, self.arguments);
        json!({
            "name": name.trim_end_matches('/'),
            "before_ns": self.old,
            "now_ns": self.new,
            "ratio": self.ratio.of_medians,
            "interval": self.ratio.interval.map(|(low, high)| [low, high]),
            "verdict": match self.ratio.verdict() {
                Verdict::Faster => "faster",
                Verdict::Slower => "slower",
                Verdict::Open => "no difference that can be told",
            },
        })
    }
}

/// Formats a ratio with its significant digits.
fn factor(ratio: f64) -> String {
    match ratio {
        ..0.005 => "<0.01".to_owned(),
        ..10.0 => format!("{ratio:.2}"),
        ..1000.0 => format!("{ratio:.0}"),
        _ => ">999".to_owned(),
    }
}

/// `99.9` for 0.999.
fn percent(confidence: f64) -> String {
    let text = format!("{:.3}", 100.0 * confidence);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::record::Run;
    use super::*;

    fn runs(name: &str, times: &[f64]) -> Vec<Run> {
        let run = |time: &f64| Run {
            name: name.to_owned(),
            iterations: 1,
            time: *time,
            ..Run::default()
        };
        times.iter().map(run).collect()
    }

    fn record(runs: &[Vec<Run>]) -> Record {
        Record {
            runs: runs.concat(),
            ..Record::here()
        }
    }

    const LONG: &str = "BM_ProcessRequest/mode:0/udf:2/num_workers:100/lang:3/filter:engine";
    const FAST: [f64; 5] = [1e6, 1.1e6, 1.2e6, 1.3e6, 1.4e6];
    const SLOW: [f64; 5] = [8e8, 8.1e8, 8.2e8, 8.3e8, 8.4e8];

    #[test]
    fn each_benchmark_gets_its_verdict() {
        let old = record(&[
            runs("A/x", &FAST),
            runs("A/y", &SLOW),
            runs(LONG, &FAST),
            runs("O", &FAST),
        ]);
        let new = record(&[
            runs("A/x", &SLOW),
            runs("A/y", &FAST),
            runs(LONG, &FAST),
            runs("N", &FAST),
        ]);
        let comparison = Comparison::of(&old, &new, 0.99).unwrap();
        let verdicts: Vec<_> = comparison
            .pairs
            .iter()
            .map(|pair| pair.ratio.verdict())
            .collect();
        assert_eq!(verdicts, [Verdict::Slower, Verdict::Faster, Verdict::Open]);
        assert!(comparison.is_worse());
        let text = comparison.text(false);
        for line in text.lines() {
            assert!(line.chars().count() <= WIDTH, "{line}");
        }
        assert!(
            text.contains("1 faster, 1 slower, 1 with no measurable difference"),
            "{text}"
        );
        assert!(
            text.contains("Only before: O") && text.contains("Only now: N"),
            "{text}"
        );
        let row = "   1.20 ms 820.00 ms   683    571-840  slower";
        assert!(text.contains(row), "{text}");
        let json = comparison.json();
        assert_eq!(json["benchmarks"][1]["verdict"], "faster");
        assert_eq!(json["benchmarks"][2]["name"], LONG);
    }

    #[test]
    fn a_family_stands_together() {
        let both = record(&[runs("A/x", &FAST), runs("B/x", &FAST), runs("A/y", &FAST)]);
        let text = Comparison::of(&both, &both, 0.99).unwrap().text(false);
        assert_eq!(text.matches("\nA\n").count(), 1, "{text}");
    }

    #[test]
    fn nothing_is_worse_without_confidence() {
        let (old, new) = (
            record(&[runs("A", &FAST[..4])]),
            record(&[runs("A", &SLOW[..4])]),
        );
        let comparison = Comparison::of(&old, &new, 0.99).unwrap();
        assert!(!comparison.is_worse());
        let text = comparison.text(false);
        assert!(
            text.contains("only 4 repetitions") && text.contains("takes 5"),
            "{text}"
        );
        assert!(Comparison::of(&old, &new, 0.95).unwrap().is_worse());
    }

    #[test]
    fn what_fails_now_is_worse() {
        let old = record(&[runs("A", &FAST)]);
        let mut new = old.clone();
        new.runs[2].failure_rate = 0.1;
        new.runs[2].failure = Some("why".to_owned());
        let comparison = Comparison::of(&old, &new, 0.99).unwrap();
        assert!(comparison.is_worse());
        assert!(comparison.text(false).contains("A failed: why"));
    }

    #[test]
    fn what_was_not_measured_alike_says_so() {
        let old = record(&[runs("A", &FAST)]);
        let mut new = old.clone();
        assert_eq!(unlike(&old, &new), Vec::<String>::new());
        new.context.insert("date".to_owned(), json!("later"));
        new.context.insert("num_cpus".to_owned(), json!(4096));
        let text = Comparison::of(&old, &new, 0.99).unwrap().text(false);
        assert!(text.contains("Not measured alike: num_cpus was"), "{text}");
        assert!(text.contains("and is 4096"), "{text}");
    }

    #[test]
    fn only_some_are_told_of_many() {
        assert_eq!(told(&["a", "b"]), "a b");
        assert_eq!(told(&["a"; 7]), "a a a a a and 2 more");
    }

    #[test]
    fn something_has_to_be_in_common() {
        let (old, new) = (record(&[runs("A", &FAST)]), record(&[runs("B", &FAST)]));
        assert!(Comparison::of(&old, &new, 0.99).is_err());
    }

    #[test]
    fn confidence_is_in_percent() {
        assert_eq!(confidence("99"), Ok(0.99));
        assert_eq!(percent(0.99), "99");
        assert_eq!(percent(0.999), "99.9");
        for wrong in ["100", "0.99", "x", "", "NaN"] {
            assert!(confidence(wrong).is_err(), "{wrong}");
        }
    }
}
