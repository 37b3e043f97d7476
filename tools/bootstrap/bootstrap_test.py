#!/usr/bin/env python3
"""Tests of the parts that need no network. Run with python3."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import crates
import debian
import host
import prepared
import registry
import relocate
import run
import trust
from report import Problem


class Folder(unittest.TestCase):
    """A test with its own folder."""

    def setUp(self):
        held = tempfile.TemporaryDirectory()
        self.addCleanup(held.cleanup)
        self.folder = pathlib.Path(held.name)

    def write(self, name, text=""):
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file


class Registry(Folder):
    def setUp(self):
        super().setUp()
        self.write("root/usr/share/bazel/embedded_tools/MODULE.bazel", 'bazel_dep(name = "rules_x", version = "0.5")\n')
        self.write(
            "root/usr/share/bazel/rules/x/MODULE.bazel",
            'module(\n    name = "rules_x",\n    version = "0.0.0",  # stamped\n    compatibility_level = 1,\n)\n'
            'bazel_dep(name = "helper", version = "2.0")\n'
            'local_path_override(\n    module_name = "helper",\n    path = "helper",\n)\n',
        )
        self.write("stand_ins/helper/MODULE.bazel", 'module(name = "helper", version = "0.0.0")\n')
        asking = self.write("MODULE.bazel", 'bazel_dep(name = "rules_x", version = "1.2.3")\n')
        registry.write_registry(self.folder / "registry", self.folder / "root", self.folder / "stand_ins", [asking])

    def test_every_requested_version_has_an_entry(self):
        found = sorted(str(entry.relative_to(self.folder / "registry/modules")) for entry in self.folder.glob("registry/modules/*/*"))
        self.assertEqual(found, ["helper/2.0", "rules_x/0.5", "rules_x/1.2.3"])

    def test_an_entry_has_the_requested_version_and_names_the_local_copy(self):
        entry = self.folder / "registry/modules/rules_x/1.2.3"
        text = (entry / "MODULE.bazel").read_text()
        self.assertIn('module(name = "rules_x", version = "1.2.3")', text)
        self.assertIn('bazel_dep(name = "helper", version = "2.0")', text)
        self.assertNotIn("local_path_override", text)
        source = json.loads((entry / "source.json").read_text())
        self.assertEqual(source, {"type": "local_path", "path": str(self.folder / "root/usr/share/bazel/rules/x")})


class Versions(unittest.TestCase):
    def check(self, has, needed):
        packages = [debian.Package("bazel-bootstrap", has, "file", "digest")]
        return debian._checked(packages, {"bazel-bootstrap": needed}, "suite")

    def test_debian_revisions_are_ignored(self):
        for has in ("7.7.1", "7.7.1+ds-8+b1", "2:7.7.1-1"):
            self.assertEqual(len(self.check(has, "7.7.1")), 1)

    def test_another_upstream_version_is_refused_by_name(self):
        for has in ("7.7.10", "7.7.2+ds-1", "8.7.7.1"):
            with self.assertRaisesRegex(Problem, "suite now has bazel-bootstrap .* made for 7.7.1"):
                self.check(has, "7.7.1")

    def test_a_missing_package_is_refused(self):
        with self.assertRaisesRegex(Problem, r"\(none\)"):
            debian._checked([], {"runsc": "1"}, "suite")


class Downloads(Folder):
    def test_an_incomplete_file_is_not_intact(self):
        good = debian.Package("a", "1", "a.deb", "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")
        self.assertFalse(debian._intact(good, self.folder))
        self.write("a.deb", "hel")
        self.assertFalse(debian._intact(good, self.folder))
        self.write("a.deb", "hello")
        self.assertTrue(debian._intact(good, self.folder))

    def test_a_file_name_gives_name_and_version(self):
        package = debian._package("libfoo_1%3a2.0-3_amd64.deb", "digest")
        self.assertEqual((package.name, package.version), ("libfoo", "1:2.0-3"))


class ClassPath(Folder):
    def test_jars_that_jars_name_are_found_in_the_root(self):
        root = self.folder / "root"
        self.jar("root/usr/share/bazel/A-server.jar", "/usr/share/java/a.jar")
        self.jar("root/usr/share/java/a.jar", "b.jar file:///usr/share/java/c.jar /usr/share/java/absent.jar")
        self.jar("root/usr/share/java/b.jar", "a.jar")
        self.jar("root/usr/share/java/c.jar", "")
        listing = self.write("root/usr/share/bazel/bazel_classpath_debian_depends.txt", "/usr/share/java/c.jar\n")
        relocate._rewrite_class_path(root)
        names = [pathlib.Path(line).relative_to(root).name for line in listing.read_text().split()]
        self.assertEqual(sorted(names), ["a.jar", "b.jar", "c.jar"])

    def jar(self, name, class_path):
        file = self.write(name)
        text = f"Manifest-Version: 1.0\r\nClass-Path: {class_path}\r\n"
        with zipfile.ZipFile(file, "w") as archive:
            # A line of a manifest ends after 72 bytes. Its continuation begins with a blank.
            archive.writestr("META-INF/MANIFEST.MF", text.replace("java/a", "ja\r\n va/a"))


class Links(Folder):
    def test_absolute_links_lead_into_the_root(self):
        self.write("root/etc/real", "text")
        link = self.folder / "root/usr/link"
        link.parent.mkdir()
        link.symlink_to("/etc/real")
        relocate._point_links_inside(self.folder / "root")
        self.assertEqual(link.read_text(), "text")


class Start(Folder):
    def test_start_runs_the_command_with_the_callers_arguments(self):
        prepared.write_start(self.folder / "start", ["/bin/echo", "first word"], ["/bin/echo"])
        self.assertEqual(run.output([self.folder / "start", "a  b", "c"]), "first word a  b c\n")

    def test_the_check_fails_when_a_needed_file_is_missing(self):
        need = self.write("need")
        need.chmod(0o755)
        prepared.write_start(self.folder / "start", ["/bin/false"], [need])
        self.assertEqual(subprocess.run([self.folder / "start", "--check"]).returncode, 0)
        need.unlink()
        self.assertNotEqual(subprocess.run([self.folder / "start", "--check"]).returncode, 0)


class Trust(Folder):
    def test_the_store_has_every_certificate(self):
        bundle = self.write("bundle.pem", "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n" * 3)
        with unittest.mock.patch.dict("os.environ", {"SSL_CERT_FILE": str(bundle)}):
            trust.write_trust_store(self.folder / "store")
        store = (self.folder / "store").read_bytes()
        self.assertEqual(store[:12], bytes.fromhex("feedfeed 00000002 00000003"))
        self.assertEqual(store.count(b"hello"), 3)


class Index(Folder):
    def test_the_index_also_has_its_old_name(self):
        (self.folder / "index.crates.io-new").mkdir()
        crates._alias_index(self.folder)
        self.assertEqual((self.folder / crates._OLD_INDEX).resolve(), (self.folder / "index.crates.io-new").resolve())
        crates._alias_index(self.folder)

    def test_a_second_registry_is_refused(self):
        (self.folder / "one").mkdir()
        (self.folder / "two").mkdir()
        with self.assertRaisesRegex(Problem, "one registry index"):
            crates._alias_index(self.folder)


class Tools(unittest.TestCase):
    def test_a_user_other_than_root_gets_the_command(self):
        with unittest.mock.patch("shutil.which", lambda tool: None if tool == "g++" else "/bin/" + tool):
            with unittest.mock.patch("os.geteuid", lambda: 1000):
                with self.assertRaisesRegex(Problem, r"apt-get install -y --no-install-recommends g\+\+"):
                    host.need_tools()


if __name__ == "__main__":
    unittest.main()
