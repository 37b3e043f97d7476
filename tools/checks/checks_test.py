#!/usr/bin/env python3
"""Tests that each check finds the defects that it is for, and no others."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

import commits  # noqa: E402
import imports  # noqa: E402
import layers  # noqa: E402
import rust_source  # noqa: E402
import specification  # noqa: E402
import toolchain  # noqa: E402

FILES = {
    "src/byob/tests/load.rs": "in_every_sandbox! {\n    async fn code_is_loaded(bed: TestBed) {\n    }\n}\n",
    "src/sandbox/seccomp/cpuid.rs": "mod tests {\n    #[test]\n    // Not slow.\n    fn the_trap_is_off() {}\n"
    "    fn helper() {}\n}\n",
    "src/io/exchange_test.rs": "#[tokio::test(start_paused = true)]\nasync fn it_ends() {}\n",
    "src/core/error/mod.rs": "mod tests {\n    #[test]\n    fn it_is_shown() {}\n}\n",
    "src/core/engine/tests.rs": "#[test]\nfn it_loads() {}\n",
    "bzl/tests/names_test.cc": "TEST(Names, AreKept) {\n}\n",
}
SOURCES = {pathlib.PurePosixPath(name): text for name, text in FILES.items()}


class Specification(unittest.TestCase):
    def problems(self, cell, logs=None):
        return specification.problems_in(f"| promise | test |\n|---|---|\n| It holds | {cell} |\n", SOURCES, logs)

    def logs(self, **files):
        with tempfile.TemporaryDirectory() as folder:
            for target, text in files.items():
                log = pathlib.Path(folder, target.replace("__", "/"), "test.log")
                log.parent.mkdir(parents=True)
                log.write_text(text)
            return specification.logged(pathlib.Path(folder))

    def test_tests_that_exist_are_found_at_any_depth(self):
        for name in (
            "load::code_is_loaded",
            "cpuid::tests::the_trap_is_off",
            "seccomp::cpuid::tests::the_trap_is_off",
            "sandbox::seccomp::cpuid::tests::the_trap_is_off",
            "exchange::tests::it_ends",
            "error::tests::it_is_shown",
            "core::error::tests::it_is_shown",
            "engine::tests::it_loads",
            "names::AreKept",
        ):
            self.assertEqual(self.problems(f"`{name}`"), [], name)

    def test_a_name_of_three_or_more_parts_that_does_not_exist_is_reported(self):
        for name in (
            "load::renamed",
            "cpuid::tests::renamed",
            "policy::cpuid::tests::the_trap_is_off",
            "seccomp::tests::the_trap_is_off",
            "seccomp::cpuid::other::the_trap_is_off",
            "seccomp::cpuid::tests::helper",
            "names::tests::AreKept",
        ):
            self.assertEqual(self.problems(f"`{name}`"), [f"It holds: the test {name} does not exist"])

    def test_a_promise_needs_the_name_of_a_test(self):
        self.assertEqual(self.problems("none yet"), ["It holds: names no test"])
        self.assertIn("`cpuid` is not the name of a test", self.problems("`cpuid`")[0])

    def test_a_unit_test_must_have_run_under_its_whole_name_in_its_own_crate(self):
        cell = "`seccomp::cpuid::tests::the_trap_is_off`"
        passed = "test seccomp::cpuid::tests::the_trap_is_off ... ok\n"
        self.assertEqual(self.problems(cell, self.logs(src__sandbox__sandbox_test=passed)), [])
        for logs in (
            self.logs(),
            self.logs(src__sandbox__sandbox_test="test seccomp::cpuid::tests::renamed ... ok\n"),
            self.logs(src__sandbox__sandbox_test="test cpuid::seccomp::tests::the_trap_is_off ... ok\n"),
            self.logs(src__sandbox__sandbox_test="test seccomp::cpuid::tests::the_trap_is_off::more ... ok\n"),
            self.logs(src__core__core_test=passed),
        ):
            self.assertEqual(
                self.problems(cell, logs),
                ["It holds: the test seccomp::cpuid::tests::the_trap_is_off did not run"],
            )

    def test_an_ignored_or_failed_test_proves_nothing(self):
        for result in ("ignored", "ignored, slow", "FAILED"):
            log = f"test seccomp::cpuid::tests::the_trap_is_off ... {result}\n"
            problems = self.problems("`cpuid::tests::the_trap_is_off`", self.logs(src__sandbox__sandbox_test=log))
            self.assertEqual(
                problems, [f"It holds: the test cpuid::tests::the_trap_is_off did not pass everywhere: {result}"]
            )

    def test_a_suite_must_pass_in_every_mode(self):
        mode = "test code_is_loaded::gvisor ... ok\n"
        self.assertEqual(self.problems("`load::code_is_loaded`", self.logs(src__byob__load_test=mode)), [])
        other = "test code_is_loaded::minimal ... FAILED\n"
        problems = self.problems("`load::code_is_loaded`", self.logs(src__byob__load_test=mode + other))
        self.assertEqual(problems, ["It holds: the test load::code_is_loaded did not pass everywhere: FAILED"])
        passed = "[       OK ] Names.AreKept (0 ms)\n"
        self.assertEqual(self.problems("`names::AreKept`", self.logs(bzl__tests__names_test=passed)), [])
        skipped = "[  SKIPPED ] Names.AreKept (0 ms)\n"
        self.assertIn("skipped", self.problems("`names::AreKept`", self.logs(bzl__tests__names_test=skipped))[0])


GOOD = "pool: Drop the unused lock\n\nNothing has taken it since the pool has one thread."


class Commits(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name, "origin")
        self.root.mkdir()
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments, root=None):
        who = ["-c", "user.name=Test", "-c", "user.email=test@test", "-c", "commit.gpgsign=false"]
        return commits.git(root or self.root, *who, *arguments).strip()

    def commit(self, text, root=None, rule=True):
        root = root or self.root
        if rule:
            (root / commits.RULE).parent.mkdir(parents=True, exist_ok=True)
            (root / commits.RULE).touch()
            self.git("add", ".", root=root)
        self.git("commit", "-q", "--allow-empty", "-m", text, root=root)
        return self.git("rev-parse", "HEAD", root=root)

    def clone(self, *options):
        clone = self.root.parent / "clone"
        url = f"file://{self.root}"
        subprocess.run(["git", "clone", "-q", *options, url, clone], check=True, capture_output=True)
        return clone

    def test_a_good_message_passes(self):
        for title in (
            "pool: Drop the unused lock",
            "cli, ffi, src/udf: Use the crates of the engine",
            ".ci: Need no network",
            "checks: Embed `a: b` in the page",
            "p: " + "A" * 69,
        ):
            self.assertEqual(commits.problems_of(GOOD.replace("pool: Drop the unused lock", title)), [], title)

    def test_each_defect_of_a_message_is_reported_with_what_to_do(self):
        for text, problem in (
            (GOOD.replace("lock", "lock" + "s" * 50), "has 76 columns: shorten it to 72"),
            (GOOD.replace("lock", "lock."), "ends with a full stop: remove it"),
            (GOOD.replace("pool: ", ""), "names no area: write `area: Imperative title`"),
            (GOOD.replace("Drop", "drop"), "begins with a small letter"),
            (GOOD.replace("Drop", "Dropped"), "imperative but with `Dropped`"),
            (GOOD.replace("Drop the", "The"), "imperative but with `The`"),
            (GOOD.replace("\n\n", "\n"), "no empty line between them: add one"),
            ("pool: Drop the unused lock", "no body: add one that says why"),
            ("pool: Drop the unused lock\n\nSigned-off-by: A B <a@b>\n", "no body: add one that says why"),
            (f"fixup! {GOOD}", "`git rebase --autosquash`"),
        ):
            found = commits.problems_of(text)
            self.assertEqual(len(found), 1, found)
            self.assertIn(problem, found[0])

    def test_a_title_of_72_columns_is_the_longest(self):
        self.assertEqual(commits.problems_of(GOOD.replace("lock", "lock" + "s" * 46)), [])
        found = commits.problems_of(GOOD.replace("lock", "lock" + "s" * 47))
        self.assertEqual(len(found), 1, found)
        self.assertIn("has 73 columns: shorten it to 72", found[0])

    def test_commits_from_before_the_rule_and_merges_are_exempt(self):
        self.commit("old", rule=False)
        self.git("branch", "side")
        first = self.commit(GOOD)
        self.git("checkout", "-q", "side")
        self.commit("also old", rule=False)
        self.git("merge", "-q", "--no-ff", "-m", "a merge", "main")
        second = self.commit(GOOD)
        self.assertEqual(commits.commits_of_change(self.root), [second, first])
        self.assertEqual(commits.commits_of_change(self.root, base="main"), [second])

    def test_a_clone_is_looked_at_beyond_its_upstream_main_or_else_as_a_whole(self):
        self.commit("old", rule=False)
        first = self.commit(GOOD)
        clone = self.clone()
        self.assertEqual(commits.commits_of_change(clone), [first])
        second = self.commit(GOOD, root=clone)
        self.assertEqual(commits.commits_of_change(clone), [second])

    def test_a_shallow_clone_is_looked_at_as_far_as_it_goes(self):
        self.commit(GOOD)
        second = self.commit(GOOD)
        self.assertEqual(commits.commits_of_change(self.clone("--depth=1")), [second])


ORDERED = """//! A file.

mod cache;

use std::io;

use nix::libc;
use roma_core::Error; // A comment behind.

use crate::pool;
use cache::Cache;

pub use roma_core::Fault;

macro_rules! every {
    () => {
        mod inside {
            use super::*;
            use std::fmt;
        }
    };
}
use every;

const TEXT: &str = r#"
use crate::a;


use std::b; }"#;
const QUOTE: [char; 2] = ['"', '{'];

fn main() {
    use std::mem;
    /* } /* { */ use */
    let life: &'static str = "\\\"{";
}

#[cfg(test)]
mod tests {
    use std::fs;

    // Why it is here.
    #[cfg(unix)]
    use super::{Deep, main};
}
"""


class ImportOrder(unittest.TestCase):
    def check(self, before, after, problem):
        """Asserts that `before` in place of `after` has the problem, and that `--write` corrects it."""
        self.assertIn(after, ORDERED)
        text = ORDERED.replace(after, before)
        self.assertEqual(len(imports.problems_in(text)), 1, text)
        self.assertIn(problem, imports.problems_in(text)[0][1])
        self.assertEqual(imports.formatted(imports.arranged(text)), ORDERED)

    def test_ordered_imports_have_no_problem_and_stay_as_they_are(self):
        self.assertEqual(imports.problems_in(ORDERED), [])
        self.assertEqual(imports.arranged(ORDERED), ORDERED)
        self.assertEqual(imports.formatted(ORDERED), ORDERED)

    def test_an_import_of_std_among_those_of_other_crates_is_moved(self):
        self.check(
            "use nix::libc;\nuse roma_core::Error; // A comment behind.\nuse std::io;\n",
            "use std::io;\n\nuse nix::libc;\nuse roma_core::Error; // A comment behind.\n",
            "the standard library stands after one of other crates: put it before",
        )

    def test_a_module_of_this_crate_is_not_another_crate(self):
        self.check(
            "use cache::Cache;\nuse nix::libc;\nuse roma_core::Error; // A comment behind.\n\nuse crate::pool;\n",
            "use nix::libc;\nuse roma_core::Error; // A comment behind.\n\nuse crate::pool;\nuse cache::Cache;\n",
            "other crates stands after one of this crate",
        )

    def test_each_group_is_one_block(self):
        self.check("use std::io;\nuse nix", "use std::io;\n\nuse nix", "an empty line is missing")
        self.check("libc;\n\nuse roma", "libc;\nuse roma", "an empty line separates imports of other crates")

    def test_an_import_below_other_items_is_moved_to_the_others(self):
        text = ORDERED.replace("use std::io;\n\n", "").replace("use every;", "use every;\nuse std::io;")
        self.assertEqual(len(imports.problems_in(text)), 1)
        self.assertEqual(imports.formatted(imports.arranged(text)), ORDERED)
        self.assertIn("stands apart", imports.problems_in("use nix::a;\nfn f() {}\nuse nix::b;\n")[0][1])

    def test_a_re_export_among_imports_gets_a_group_of_its_own(self):
        for before in (
            "use cache::Cache;\npub use roma_core::Fault;\n",
            "pub use roma_core::Fault;\nuse cache::Cache;\n",
        ):
            self.check(before, "use cache::Cache;\n\npub use roma_core::Fault;\n", "a `pub use` stands among imports")
        earlier = ORDERED.replace("\npub use roma_core::Fault;\n", "")
        earlier = earlier.replace("use std::io;", "pub use roma_core::Fault;\n\nuse std::io;")
        self.assertEqual(imports.problems_in(earlier), [])

    def test_nested_modules_have_the_same_order(self):
        import_of_super = "    // Why it is here.\n    #[cfg(unix)]\n    use super::{Deep, main};\n"
        self.check(
            f"{import_of_super}    use std::fs;\n",
            f"    use std::fs;\n\n{import_of_super}",
            "the standard library stands after one of this crate",
        )

    def test_the_outline_sees_through_literals_comments_and_attributes(self):
        items = rust_source.outline(ORDERED).items
        self.assertEqual(items[-1].module.name, "tests")
        self.assertEqual([item.module.name for item in items if item.module], ["tests"])
        self.assertEqual(items[-1].attributes.strip(), "#[cfg(test)]")
        with self.assertRaises(rust_source.SyntaxProblem):
            imports.problems_in("use std::io; use std::fs;\n")


TABLE = {"src/low": [], "src/middle": ["src/low"], "src/high": ["src/low", "src/middle"]}


class Layers(unittest.TestCase):
    def problems(self, table=None, **changes):
        found = {folder: set(allowed) for folder, allowed in TABLE.items()}
        found.update({f"src/{name}": {f"src/{own}" for own in used} for name, used in changes.items()})
        return layers.problems_in(table or TABLE, found)

    def test_crates_that_are_as_the_table_says_pass(self):
        self.assertEqual(self.problems(), [])

    def test_a_dependency_that_is_not_allowed_is_reported(self):
        self.assertEqual(len(self.problems(low={"middle"})), 1)
        self.assertIn("src/low depends on src/middle, which its layer may not use", self.problems(low={"middle"})[0])

    def test_what_is_allowed_and_not_used_is_reported(self):
        self.assertEqual(
            self.problems(high={"middle"}), ["src/high does not depend on src/low: remove it from LAYERS"]
        )

    def test_every_crate_and_no_other_is_in_the_table(self):
        self.assertIn("src/new is not in LAYERS", self.problems(new=set())[0])
        table = {**TABLE, "src/gone": []}
        self.assertIn("src/gone, which is not a crate", self.problems(table)[0])

    def test_a_layer_may_not_use_a_higher_one(self):
        table = {"src/high": TABLE["src/high"], **TABLE}
        self.assertIn("LAYERS lets src/high use src/low, which is not above it in the table", self.problems(table)[0])

    def test_dependencies_of_builds_count_and_those_of_tests_do_not(self):
        def of(name, kind):
            return {"name": f"roma-{name}", "path": f"/tree/src/{name}", "kind": kind}

        packages = [
            {
                "manifest_path": "/tree/src/high/Cargo.toml",
                "dependencies": [of("low", None), of("middle", "build"), of("other", "dev"), {"name": "nix", "kind": None}],
            }
        ]
        found = layers.dependencies({"packages": packages}, pathlib.Path("/tree"))
        self.assertEqual(found, {"src/high": {"src/low", "src/middle"}})

    def test_the_lines_are_a_markdown_table(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            commits.git(root, "init", "-q")
            file = root / "src/high/lib.rs"
            file.parent.mkdir(parents=True)
            file.write_text("fn a() {}\n\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n")
            table = layers.table_of_lines({"src/high": {"src/low", "src/middle"}}, root)
        self.assertEqual(
            table.split("\n"),
            [
                "| crate | product | tests | depends on |",
                "| --- | ---: | ---: | --- |",
                "| src/high | 2 | 4 | src/low, src/middle |",
                "| all | 2 | 4 | - |",
            ],
        )

    def test_lines_of_tests_are_counted_apart(self):
        text = "fn a() {}\n\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n"
        self.assertEqual(layers.lines_of("a.rs", text), (2, 4))
        for name in ("tests/a.rs", "a_test.rs", "a/tests.rs", "testing/host.rs"):
            self.assertEqual(layers.lines_of(name, text), (0, 6))


class Toolchain(unittest.TestCase):
    RELEASE = toolchain.PINNED
    CLIPPY = f"0.{toolchain.PINNED.rsplit('.', 1)[0]}"

    def versions(self, **changes):
        versions = {
            "rustc": f"rustc {self.RELEASE} (59807616e 2026-04-14)",
            "cargo": f"cargo {self.RELEASE} (f2d3ce0bd 2026-03-21)",
            "clippy": f"clippy {self.CLIPPY} (59807616e1 2026-04-14)",
            "rustfmt": "rustfmt 1.9.0-stable (59807616e1 2026-04-14)",
        }
        return {**versions, **changes}

    def test_the_pinned_release_has_no_problem(self):
        self.assertEqual(toolchain.problems_of(self.versions()), [])

    def test_another_or_a_missing_clippy_is_reported(self):
        self.assertIn("is not of Rust", toolchain.problems_of(self.versions(clippy="clippy 0.1.9 (0 2026-01-01)"))[0])
        self.assertIn("clippy does not run", toolchain.problems_of(self.versions(clippy=""))[0])

    def test_a_rustfmt_of_another_release_is_reported(self):
        for text in ("rustfmt 1.9.0-nightly (e50aa6fba4 2026-05-19)", "rustfmt 1.9.0"):
            self.assertIn(f"`{text}` is not of Rust", toolchain.problems_of(self.versions(rustfmt=text))[0])
        self.assertIn("rustfmt does not run", toolchain.problems_of(self.versions(rustfmt=""))[0])
        without_commits = self.versions(rustc=f"rustc {self.RELEASE}", rustfmt="rustfmt 1.9.0")
        self.assertEqual(toolchain.problems_of(without_commits), [])

    def test_a_difference_fails_only_where_ci_is_set(self):
        with tempfile.TemporaryDirectory() as folder:
            # No Rust at all.
            for ci, code in (({}, 0), ({"CI": "1"}, 1)):
                command = [sys.executable, toolchain.__file__]
                done = subprocess.run(command, env={"PATH": folder, **ci}, capture_output=True, text=True)
                self.assertEqual(done.returncode, code, done.stdout + done.stderr)
                self.assertIn(f"pinned: {self.RELEASE}", done.stdout)

    def test_the_pinned_release_is_taken_only_if_it_is_installed(self):
        name = f"{self.RELEASE}-x86_64-unknown-linux-gnu"
        listed = f"stable-x86_64-unknown-linux-gnu (active, default)\n{name}\n"
        self.assertEqual(toolchain.chosen(listed), {"RUSTUP_TOOLCHAIN": name})
        for listed in ("stable-x86_64-unknown-linux-gnu (default)\n", f"{self.RELEASE}0-x86_64\n", ""):
            self.assertEqual(toolchain.chosen(listed), {})


if __name__ == "__main__":
    unittest.main()
