//! The choice of benchmarks and places.

use std::path::{Path, PathBuf};

use anyhow::ensure;

use super::SuiteArgs;
use super::benchmarks::{self, Benchmark, Choice};
use super::language::Language;
use super::place::Place;

/// The benchmarks to measure, and the places to measure them in.
pub struct Plan {
    pub places: Vec<Place>,
    benchmarks: Vec<Benchmark>,
    only: Vec<String>,
}

impl Plan {
    pub fn of(arguments: &SuiteArgs) -> anyhow::Result<Self> {
        let filters = &arguments.filters;
        let in_mode = |&mode| filters.iter().map(move |&filter| Place { mode, filter });
        let given = arguments.request.read()?;
        let benchmarks = match &arguments.udf {
            Some(udf) => {
                ensure!(udf.is_file(), "{} is not there", udf.display());
                let request = given.request.unwrap_or_default();
                benchmarks::own(&std::path::absolute(udf)?, &request, &arguments.workers)
            }
            None => {
                let any = given.request.is_some() || given.method.is_some();
                ensure!(!any, "a request needs the --udf that it is for");
                samples(arguments)?
            }
        };
        Ok(Self {
            places: arguments.modes.iter().flat_map(in_mode).collect(),
            benchmarks,
            only: arguments.only.clone(),
        })
    }

    /// Returns the benchmarks that are wanted in a place.
    pub fn in_place(&self, place: Place) -> impl Iterator<Item = (String, &Benchmark)> {
        let named = self.benchmarks.iter().map(move |it| (it.name(place), it));
        let only = &self.only;
        named
            .filter(move |(name, _)| only.is_empty() || only.iter().any(|text| name.contains(text)))
    }

    pub fn names(&self) -> impl Iterator<Item = String> {
        let places = self.places.iter();
        places.flat_map(|place| self.in_place(*place).map(|(name, _)| name))
    }

    /// Checks that everything that the plan needs exists.
    pub fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.names().next().is_some(),
            "there is nothing of that name to measure"
        );
        let wanted = self.places.iter().flat_map(|place| self.in_place(*place));
        for (name, benchmark) in wanted {
            let program = &benchmark.program;
            ensure!(
                program.is_file(),
                "{name} needs {}, which is not there",
                program.display()
            );
        }
        Ok(())
    }
}

fn samples(arguments: &SuiteArgs) -> anyhow::Result<Vec<Benchmark>> {
    let samples = match &arguments.languages[..] {
        [] => {
            let there = those_there();
            told(&there);
            there
        }
        wanted => {
            let found = wanted.iter().map(|it| Ok((*it, it.sample()?)));
            found.collect::<anyhow::Result<_>>()?
        }
    };
    let folder = match &arguments.samples {
        Some(folder) => std::path::absolute(folder)?,
        None => Language::Rust
            .sample()?
            .parent()
            .unwrap_or(Path::new("/"))
            .to_owned(),
    };
    Ok(benchmarks::suite(&Choice {
        samples: &samples,
        folder: &folder,
        workers: &arguments.workers,
        payloads: &arguments.payloads,
    }))
}

/// Prints what is left out, and why.
fn told(there: &[(Language, PathBuf)]) {
    let missing = |it: &&Language| !there.iter().any(|(language, _)| language == *it);
    let missing: Vec<_> = Language::ALL
        .iter()
        .filter(missing)
        .map(|it| it.name())
        .collect();
    if !missing.is_empty() {
        eprintln!(
            "No sample is there in {}: see --languages.",
            missing.join(" or ")
        );
    }
}

fn those_there() -> Vec<(Language, PathBuf)> {
    let found = Language::ALL
        .iter()
        .filter_map(|it| Some((*it, it.sample().ok()?)));
    found.collect()
}
