//! What came of a run.

use std::collections::BTreeMap;
use std::fmt;

use nix::errno::Errno;
use roma_byob::{Error, Outcome};

use crate::canary;
use crate::plan::Request;

/// Sums over all requests of a run.
#[derive(Debug, Default)]
pub struct Figures {
    pub neighbour: u64,
    requests: u64,
    /// How requests ended.
    ends: BTreeMap<String, u64>,
    processes: u64,
    /// Calls of requests that could tell it.
    calls: u64,
    /// Calls by error number, where 0 is success.
    results: BTreeMap<i32, u64>,
}

impl Figures {
    /// Adds what came of one request. Asserts that nothing failed but the code itself.
    pub fn add(&mut self, request: &Request, outcome: &Outcome) {
        self.requests += 1;
        let end = match &outcome.result {
            Ok(answer) => self.add_answer(request, &String::from_utf8_lossy(answer)),
            Err(error @ (Error::Died { .. } | Error::Deadline { .. } | Error::Response(_))) => {
                error
                    .exit()
                    .map_or(error.name().to_owned(), |exit| exit.status.to_string())
            }
            Err(error) => panic!("{request:?}: {error:?}"),
        };
        *self.ends.entry(end).or_default() += 1;
    }

    fn add_answer(&mut self, request: &Request, answer: &str) -> String {
        // With a connection that calls reach, an answer may be anything.
        if !answer.starts_with("processes=") {
            return "answered otherwise".to_owned();
        }
        for (name, number) in answer.split(' ').filter_map(|word| word.split_once('=')) {
            let number = number.parse().unwrap_or(0);
            match name {
                "processes" => self.processes += number,
                "calls" => self.calls += number,
                "owner" => assert!(!canary::is_owner(number), "{request:?}: {answer}"),
                _ => self.add_results(name, number),
            }
        }
        "answered".to_owned()
    }

    /// Counts calls if the name is an error number.
    fn add_results(&mut self, name: &str, count: u64) {
        if let Ok(error) = name.parse() {
            *self.results.entry(error).or_default() += count;
        }
    }

    /// Asserts that calls were made that the kernel allowed, and that it refused others.
    pub fn assert_enough(&self) {
        let count = |error: i32| self.results.get(&error).copied().unwrap_or(0);
        assert!(self.calls > 100, "{self}");
        assert!(count(0) > 0 && count(Errno::EFAULT as i32) > 0, "{self}");
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (requests, calls, processes) = (self.requests, self.calls, self.processes);
        writeln!(
            f,
            "{requests} requests, {processes} processes, {calls} calls"
        )?;
        writeln!(f, "{} requests of the neighbour", self.neighbour)?;
        writeln!(f, "ends: {:?}", self.ends)?;
        let mut results: Vec<_> = self.results.iter().collect();
        results.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let named = |error: i32| match error {
            0 => "success".to_owned(),
            error => format!("{:?}", Errno::from_raw(error)),
        };
        let shown = results
            .iter()
            .map(|(error, count)| format!("{} {count}", named(**error)));
        write!(f, "results: {}", shown.collect::<Vec<_>>().join(", "))
    }
}
