//! Tests that replay the corpus.

use std::path::PathBuf;

use crate::{TARGETS, seeds};

fn corpus() -> PathBuf {
    let from_bazel = std::env::var_os("ROMA_FUZZ_CORPUS").map(PathBuf::from);
    from_bazel.unwrap_or_else(|| "../../fuzz/corpus".into())
}

#[test]
fn every_input_of_the_corpus_satisfies_the_property_of_its_target() {
    for (name, run) in TARGETS {
        let mut count = 0;
        for entry in std::fs::read_dir(corpus().join(name)).unwrap() {
            let path = entry.unwrap().path();
            println!("{}", path.display());
            run(&std::fs::read(&path).unwrap());
            count += 1;
        }
        assert!(count > 0, "{name} has no corpus");
    }
}

#[test]
fn every_folder_of_the_corpus_has_a_target() {
    for entry in std::fs::read_dir(corpus()).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(
            TARGETS.iter().any(|(target, _)| name == *target),
            "{name:?}"
        );
    }
}

#[test]
fn the_seeds_in_the_corpus_are_up_to_date() {
    for seed in seeds::all() {
        let path = seed.path(&corpus());
        let stored = std::fs::read(&path).unwrap_or_default();
        assert!(
            stored == seed.bytes,
            "{path:?} is out of date: run fuzz_seeds"
        );
    }
}
