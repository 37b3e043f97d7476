//! The benchmarks of the C++ system's suite, by their names.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::language::Language;
use super::payload::Payload;
use super::place::Place;
use super::question::Question;

/// The placeholder for the number of the mode in the arguments of a benchmark.
const MODE: &str = "{mode}";
/// The number of ready workers of benchmarks that do not vary it.
const FEW: u32 = 2;
/// The same for UDFs that print.
const WORKERS_THAT_LOG: u32 = 10;
const PRIMES: [u32; 5] = [100_000, 500_000, 1_000_000, 5_000_000, 10_000_000];
const LISTS: [(u32, &str); 3] = [
    (10_000, "sort_list_10k_udf"),
    (100_000, "sort_list_100k_udf"),
    (1_000_000, "sort_list_1m_udf"),
];
const LINES: [u64; 4] = [10, 100, 1000, 10_000];

/// One benchmark, independent of where it runs.
#[derive(Debug, Clone)]
pub struct Benchmark {
    family: &'static str,
    arguments: String,
    details: String,
    pub program: PathBuf,
    pub workers: u32,
    pub logs: bool,
    pub work: Work,
}

/// The work that is timed.
#[derive(Debug, Clone)]
pub enum Work {
    Load,
    Ask(Question),
    /// The same, but a callback gets the response.
    AskWithCallback(Question),
}

/// The values of all dimensions.
#[derive(Debug)]
pub struct Choice<'a> {
    pub samples: &'a [(Language, PathBuf)],
    /// The folder of all other samples.
    pub folder: &'a Path,
    pub workers: &'a [u32],
    pub payloads: &'a [Payload],
}

impl Benchmark {
    /// Its name there.
    pub fn name(&self, place: Place) -> String {
        let arguments = self.arguments.replace(MODE, &place.number().to_string());
        let suffix = place.suffix(self.arguments.contains(MODE));
        format!("{}/{arguments}{suffix}", self.family)
    }

    /// Returns the bytes of payload of each iteration.
    pub fn payload(&self) -> Option<u64> {
        match &self.work {
            Work::Load => None,
            Work::Ask(question) | Work::AskWithCallback(question) => question.payload(),
        }
    }

    /// What the numbers in its name mean.
    pub fn label(&self, place: Place) -> String {
        format!("{place}, {}", self.details)
    }
}

/// Returns all benchmarks of the suite for these values.
pub fn suite(choice: &Choice<'_>) -> Vec<Benchmark> {
    let mut all = Vec::new();
    all.extend(choice.samples.iter().map(load));
    if let Some(first) = choice.samples.first() {
        all.extend(requests(first, choice.workers));
    }
    all.extend(choice.samples.iter().flat_map(languages));
    all.extend(payloads(choice));
    all.extend(work(choice.folder));
    all.extend(logs(choice.folder));
    all
}

/// Returns what the C++ system's generated benchmarks measure, for a UDF of the user.
pub fn own(udf: &Path, request: &Bytes, workers: &[u32]) -> Vec<Benchmark> {
    let name = udf.file_name().unwrap_or_default().to_string_lossy();
    let of = |family, workers, work| Benchmark {
        family,
        arguments: format!("mode:{MODE}/num_workers:{workers}"),
        details: name.clone().into_owned(),
        program: udf.to_owned(),
        workers,
        logs: false,
        work,
    };
    let ask = |workers: &u32| {
        of(
            "BM_Execute",
            *workers,
            Work::Ask(Question::Given(request.clone())),
        )
    };
    std::iter::once(of("BM_Load", 1, Work::Load))
        .chain(workers.iter().map(ask))
        .collect()
}

/// The base of all benchmarks.
fn plain(family: &'static str, arguments: String, program: PathBuf, work: Work) -> Benchmark {
    Benchmark {
        family,
        arguments,
        details: String::new(),
        program,
        workers: FEW,
        logs: false,
        work,
    }
}

fn load((language, program): &(Language, PathBuf)) -> Benchmark {
    let arguments = format!("mode:{MODE}{}", language.suffix());
    Benchmark {
        details: language.name().to_owned(),
        workers: 1,
        ..plain("BM_LoadBinary", arguments, program.clone(), Work::Load)
    }
}

/// The functions of the sample, by their numbers in names.
fn functions() -> [(u8, &'static str, Question); 2] {
    [
        (1, "Hello World", Question::Hello),
        (2, "Prime Sieve", Question::PrimesUpTo(PRIMES[0])),
    ]
}

fn requests((language, program): &(Language, PathBuf), workers: &[u32]) -> Vec<Benchmark> {
    type Ask = fn(Question) -> Work;
    let ways: [(&'static str, Ask); 2] = [
        ("BM_ProcessRequest", Work::Ask),
        ("BM_ProcessRequestUsingCallback", Work::AskWithCallback),
    ];
    let mut all = Vec::new();
    for (family, ask) in ways {
        for (number, function, question) in functions() {
            all.extend(workers.iter().map(|&workers| {
                let suffix = language.suffix();
                let arguments = format!("mode:{MODE}/udf:{number}/num_workers:{workers}{suffix}");
                Benchmark {
                    details: format!("{function}, {}", language.name()),
                    workers,
                    ..plain(family, arguments, program.clone(), ask(question.clone()))
                }
            }));
        }
    }
    all
}

fn languages((language, program): &(Language, PathBuf)) -> Vec<Benchmark> {
    let of = |(number, function, question): (u8, &str, Question)| Benchmark {
        details: format!("{function}, {}", language.name()),
        ..plain(
            "BM_ProcessRequestMultipleLanguages",
            format!("lang:{}/udf:{number}", language.number()),
            program.clone(),
            Work::Ask(question),
        )
    };
    functions().map(of).into()
}

fn payloads(choice: &Choice<'_>) -> Vec<Benchmark> {
    type Ask = fn(Payload) -> Question;
    let ways: [(&'static str, &str, Ask); 2] = [
        (
            "BM_ProcessRequestRequestPayload",
            "payload_read_udf",
            Question::Read,
        ),
        (
            "BM_ProcessRequestResponsePayload",
            "payload_write_udf",
            Question::Write,
        ),
    ];
    let of = |(family, program, ask): (&'static str, &str, Ask), payload: Payload| Benchmark {
        details: payload.to_string(),
        ..plain(
            family,
            format!("{}/{}/{MODE}", payload.size, payload.count),
            choice.folder.join(program),
            Work::Ask(ask(payload)),
        )
    };
    ways.into_iter()
        .flat_map(|way| choice.payloads.iter().map(move |&payload| of(way, payload)))
        .collect()
}

fn work(folder: &Path) -> Vec<Benchmark> {
    let primes = PRIMES.map(|number| Benchmark {
        details: format!("primes up to {number}"),
        ..plain(
            "BM_ProcessRequestPrimeSieve",
            format!("mode:{MODE}/prime_count:{number}"),
            folder.join("prime_sieve_udf"),
            Work::Ask(Question::PrimesUpTo(number)),
        )
    });
    let lists = LISTS.map(|(length, program)| Benchmark {
        details: format!("{length} numbers"),
        ..plain(
            "BM_ProcessRequestSortList",
            format!("mode:{MODE}/n_items:{length}"),
            folder.join(program),
            Work::Ask(Question::Sort(length)),
        )
    });
    primes.into_iter().chain(lists).collect()
}

fn logs(folder: &Path) -> Vec<Benchmark> {
    let of = |(number, kept), lines: u64| Benchmark {
        details: format!("{lines} lines, {}", if kept { "kept" } else { "not kept" }),
        logs: kept,
        workers: WORKERS_THAT_LOG,
        ..plain(
            "BM_ProcessRequestDevNullVsLogBinary",
            format!("log:{number}/num_logs:{lines}"),
            folder.join("log_benchmark_udf"),
            Work::Ask(Question::Log(lines)),
        )
    };
    let ways = [(1, true), (0, false)];
    ways.into_iter()
        .flat_map(|way| LINES.map(|lines| of(way, lines)))
        .collect()
}

#[cfg(test)]
mod tests {
    use roma_byob::{Mode, SyscallFilter};

    use super::*;

    const GVISOR: Place = Place {
        mode: Mode::Gvisor,
        filter: SyscallFilter::Strict,
    };
    const MINIMAL: Place = Place {
        mode: Mode::Minimal,
        filter: SyscallFilter::None,
    };

    fn names(languages: &[Language], place: Place) -> Vec<String> {
        let samples: Vec<_> = languages
            .iter()
            .map(|it| (*it, PathBuf::from("sample")))
            .collect();
        let choice = Choice {
            samples: &samples,
            folder: Path::new("samples"),
            workers: &[1, 10],
            payloads: &["1000x10".parse().unwrap()],
        };
        suite(&choice)
            .iter()
            .map(|benchmark| benchmark.name(place))
            .collect()
    }

    #[test]
    fn names_are_those_of_the_cpp_suite() {
        let names = names(&[Language::Cc, Language::Go], GVISOR);
        for name in [
            "BM_LoadBinary/mode:0",
            "BM_ProcessRequest/mode:0/udf:1/num_workers:10",
            "BM_ProcessRequestUsingCallback/mode:0/udf:2/num_workers:1",
            "BM_ProcessRequestMultipleLanguages/lang:1/udf:2",
            "BM_ProcessRequestRequestPayload/1000/10/0",
            "BM_ProcessRequestResponsePayload/1000/10/0",
            "BM_ProcessRequestPrimeSieve/mode:0/prime_count:10000000",
            "BM_ProcessRequestSortList/mode:0/n_items:100000",
            "BM_ProcessRequestDevNullVsLogBinary/log:0/num_logs:10000",
        ] {
            assert!(names.iter().any(|it| it == name), "no {name} in {names:?}");
        }
    }

    #[test]
    fn what_that_suite_does_not_have_is_added_behind() {
        let names = names(&[Language::Rust], MINIMAL);
        for name in [
            "BM_LoadBinary/mode:1/lang:3/filter:none",
            "BM_ProcessRequest/mode:1/udf:1/num_workers:1/lang:3/filter:none",
            "BM_ProcessRequestMultipleLanguages/lang:3/udf:1/mode:1/filter:none",
            "BM_ProcessRequestRequestPayload/1000/10/1/filter:none",
        ] {
            assert!(names.iter().any(|it| it == name), "no {name} in {names:?}");
        }
    }

    #[test]
    fn no_two_have_the_same_name_wherever_they_run() {
        let all = &Language::ALL;
        let mut every = [names(all, GVISOR), names(all, MINIMAL)].concat();
        let count = every.len();
        every.sort();
        every.dedup();
        assert_eq!(every.len(), count);
    }
}
