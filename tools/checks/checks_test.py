#!/usr/bin/env python3
"""Tests of the checks themselves."""

import unittest

import commits
import imports
import layers
import specification
import toolchain


class Specification(unittest.TestCase):
    FILES = [
        (specification.modules("src/sandbox/seccomp/cpuid.rs"), "fn the_trap_is_refused() {}"),
        (specification.modules("src/core/error/error_test.rs"), "async fn no_cause_twice() {}"),
        (specification.modules("src/byob/tests/faults.rs"), "async fn a_full_disk(bed: TestBed) {}"),
        (specification.modules("bzl/tests/nasty_test.cc"), "TEST(Nasty, ShippedIsDeclared) {}"),
    ]

    def test_names_of_any_depth_are_read(self):
        row = "| a promise | `faults::a_full_disk`, `seccomp::cpuid::tests::the_trap_is_refused` |"
        names = ["faults::a_full_disk", "seccomp::cpuid::tests::the_trap_is_refused"]
        self.assertEqual(specification.read_promises(row), [("a promise", names)])

    def test_a_test_is_found_by_its_modules(self):
        for name in (
            "seccomp::cpuid::tests::the_trap_is_refused",
            "cpuid::tests::the_trap_is_refused",
            "error::tests::no_cause_twice",
            "faults::a_full_disk",
            "nasty::ShippedIsDeclared",
        ):
            self.assertTrue(specification.exists(name, self.FILES), name)

    def test_a_test_of_another_module_or_name_is_missing(self):
        for name in ("policy::tests::the_trap_is_refused", "faults::a_full", "mode::cpuid::tests::the_trap_is_refused"):
            self.assertFalse(specification.exists(name, self.FILES), name)

    def test_only_a_test_that_passed_everywhere_is_proven(self):
        log = "test cpuid::tests::a ... ok\ntest b::minimal ... ok\ntest b::gvisor ... ignored\n"
        results = specification.results_of("suite", log)
        self.assertEqual(specification.unproven("cpuid::tests::a", results), [])
        self.assertEqual(specification.unproven("suite::b", results), ["suite::b in one place: ignored"])
        self.assertEqual(specification.unproven("suite::c", results), ["suite::c did not run"])


class Commits(unittest.TestCase):
    def test_a_good_message_has_no_problems(self):
        for title in ("pool: Split the engine", "core, io: Split the engine", "docs/udf: `roma` has a page"):
            self.assertEqual(commits.problems_of(f"{title}\n\nBecause of the second engine.\n"), [], title)

    def test_each_offence_is_named(self):
        for message, words in {
            "Split the engine\n\nWhy.": "area:",
            "pool: split the engine\n\nWhy.": "Imperative",
            "pool: Split the engine.\n\nWhy.": "full stop",
            f"pool: {'S' * 80}\n\nWhy.": "columns",
            "pool: Split the engine": "no body",
            "pool: Split the engine\nWhy.": "empty line",
        }.items():
            problems = commits.problems_of(message)
            self.assertTrue(any(words in problem for problem in problems), (message, problems))


class Imports(unittest.TestCase):
    ORDERED = """//! A file.

use std::io;

use bytes::Bytes;
use roma_core::Error;

use crate::pool::Pool;

fn f() {}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
}
"""

    def test_ordered_imports_stay(self):
        self.assertEqual(imports.reorder(self.ORDERED), self.ORDERED)

    def test_groups_are_put_into_order(self):
        mixed = self.ORDERED.replace("use std::io;\n\nuse bytes::Bytes;\n", "use bytes::Bytes;\nuse std::io;\n")
        mixed = mixed.replace("    use std::fs;\n\n    use super::*;", "    use super::*;\n    use std::fs;")
        self.assertNotEqual(mixed, self.ORDERED)
        self.assertEqual(imports.reorder(mixed), self.ORDERED)

    def test_attributes_and_comments_stay_with_their_import(self):
        mixed = "use crate::a;\n// For the tests.\n#[cfg(test)]\nuse std::fs;\n"
        self.assertEqual(imports.reorder(mixed), "// For the tests.\n#[cfg(test)]\nuse std::fs;\n\nuse crate::a;\n")

    def test_a_module_of_the_file_is_not_the_standard_library(self):
        text = "mod core;\n\nuse core::Thing;\nuse zstd::Other;\n"
        self.assertEqual(imports.reorder(text), text)


class Layers(unittest.TestCase):
    LAYERS = {"src/low": [], "src/high": ["low"]}

    def test_the_layers_as_they_should_be_have_no_problems(self):
        self.assertEqual(layers.problems_of({"src/low": [], "src/high": ["low"]}, self.LAYERS), [])

    def test_each_offence_is_named(self):
        for crates, words in [
            ({"src/low": ["high"], "src/high": ["low"]}, "does not allow"),
            ({"src/low": [], "src/high": []}, "does not; remove"),
            ({"src/low": [], "src/high": ["low"], "src/new": []}, "src/new: say"),
            ({"src/low": []}, "not a crate"),
        ]:
            problems = layers.problems_of(crates, self.LAYERS)
            self.assertTrue(any(words in problem for problem in problems), problems)


class Toolchain(unittest.TestCase):
    def test_only_the_pinned_versions_pass(self):
        pinned = [("rustc", "1.95.0"), ("cargo", "1.95.0"), ("clippy", "0.1.95")]
        self.assertEqual(toolchain.problems_of(pinned), [])
        problems = toolchain.problems_of([("rustc", "1.94.1"), ("clippy", "0.1.94")])
        self.assertEqual(len(problems), 2)
        self.assertIn("rustup toolchain install 1.95.0", problems[0])


if __name__ == "__main__":
    unittest.main()
