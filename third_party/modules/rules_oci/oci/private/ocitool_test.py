#!/usr/bin/env python3
"""Tests of ocitool.py; run with `python3 ocitool_test.py`."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import tarfile
import tempfile
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

import ocitool


def digest(data: bytes) -> str:
    """Returns the OCI digest of `data`."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def tar_of(**files: str) -> bytes:
    """Returns a tar file with `files`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


def members(path: Path) -> dict[str, bytes]:
    """Returns the files in a tar file, whose names must be unique."""
    with tarfile.open(path) as tar:
        names = tar.getnames()
        assert len(names) == len(set(names)), names
        files = ((name, tar.extractfile(name)) for name in names)
        return {name: file.read() for name, file in files if file}


def tree(root: Path) -> dict[str, bytes]:
    """Returns all files below `root`."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


class TestCase(unittest.TestCase):
    """A test with its own directory, and helpers for the tool and its output."""

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.dir = Path(directory.name)

    def file(self, name: str, content: str | bytes) -> Path:
        """Writes a file."""
        path = self.dir / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def run_tool(self, *arguments: object) -> None:
        """Runs the tool, which must succeed."""
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors):
            code = ocitool.main([str(argument) for argument in arguments])
        self.assertEqual((code, errors.getvalue()), (0, ""))

    def fail_tool(self, *arguments: object) -> str:
        """Runs the tool, which must fail. Returns its message."""
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors):
            code = ocitool.main([str(argument) for argument in arguments])
        self.assertEqual(code, 1)
        return errors.getvalue()

    def image(self, name: str, *arguments: object, base: Path | None = None, arch: str = "amd64") -> Path:
        """Builds an image."""
        root = self.dir / name
        start = ["--base", base] if base else ["--os", "linux", "--architecture", arch]
        self.run_tool("image", "--output", root, *start, *arguments)
        return root

    def layer(self, name: str, data: bytes) -> list[object]:
        """Returns the options that add a layer."""
        return ["--layer", self.file(name, data), f"//pkg:{name}"]

    def blob(self, root: Path, descriptor: dict[str, Any]) -> Any:
        """Returns a JSON blob."""
        return json.loads((root / "blobs" / descriptor["digest"].replace(":", "/")).read_bytes())

    def manifest(self, root: Path) -> Any:
        """Returns a layout's manifest."""
        return self.blob(root, json.loads((root / "index.json").read_bytes())["manifests"][0])

    def config(self, root: Path) -> Any:
        """Returns a layout's image configuration."""
        return self.blob(root, self.manifest(root)["config"])


class EnvTest(unittest.TestCase):
    """Environment variables."""

    def test_new_last_old_in_place(self) -> None:
        merged = ocitool.merge_env(["A=1", "B=2"], [("C", "3"), ("A", "4")])
        self.assertEqual(merged, ["A=4", "B=2", "C=3"])

    def test_expansion(self) -> None:
        merged = ocitool.merge_env(["PATH=/bin"], [("X", "x"), ("PATH", "/$X:${PATH}"), ("PATH", "$PATH:/z")])
        self.assertEqual(merged, ["PATH=/x:/bin:/z", "X=x"])

    def test_unset_stays(self) -> None:
        self.assertEqual(ocitool.merge_env([], [("A", "$NO ${NO} $ 5$")]), ["A=$NO ${NO} $ 5$"])

    def test_equals_sign_in_value(self) -> None:
        self.assertEqual(ocitool.merge_env(["A=b=c"], [("D", "$A=e")]), ["A=b=c", "D=b=c=e"])


class FilesTest(TestCase):
    """Files with settings."""

    def test_arguments(self) -> None:
        path = self.file("cmd", "sh\n-c\necho a,b%5Cnecho c\n")
        self.assertEqual(ocitool.arguments_of(path), ["sh", "-c", "echo a,b\necho c"])

    def test_names(self) -> None:
        self.assertEqual(ocitool.names_of(self.file("ports", "80/tcp,53/udp\n")), ["80/tcp", "53/udp"])

    def test_pairs(self) -> None:
        self.assertEqual(ocitool.pairs_of(self.file("labels", "a=b=c\n\nd\n")), [("a", "b=c"), ("d", "")])

    def test_pair_without_name(self) -> None:
        with self.assertRaisesRegex(ocitool.OciError, "write name=value"):
            ocitool.pairs_of(self.file("labels", "=b"))

    def test_created(self) -> None:
        self.assertEqual(ocitool.created_of(self.file("at", "1980-01-02T03:04:05.6Z\n")), "1980-01-02T03:04:05.6Z")
        with self.assertRaisesRegex(ocitool.OciError, "RFC 3339"):
            ocitool.created_of(self.file("at", "yesterday"))


class ImageTest(TestCase):
    """The subcommand `image`."""

    def test_from_scratch(self) -> None:
        root = self.image("image", "--variant=v3")
        self.assertEqual(json.loads((root / "oci-layout").read_text()), {"imageLayoutVersion": "1.0.0"})
        self.assertEqual(self.manifest(root)["layers"], [])
        self.assertEqual(
            self.config(root),
            {
                "architecture": "amd64",
                "config": {},
                "created": "1970-01-01T00:00:00Z",
                "history": [],
                "os": "linux",
                "rootfs": {"type": "layers", "diff_ids": []},
                "variant": "v3",
            },
        )

    def test_layers(self) -> None:
        plain, inner = tar_of(a="1"), tar_of(b="2")
        packed = gzip.compress(inner)
        root = self.image("image", *self.layer("a.tar", plain), *self.layer("b.tgz", packed))
        self.assertEqual(
            self.manifest(root)["layers"],
            [
                {"mediaType": ocitool.LAYER, "digest": digest(plain), "size": len(plain)},
                {"mediaType": ocitool.LAYER + "+gzip", "digest": digest(packed), "size": len(packed)},
            ],
        )
        config = self.config(root)
        self.assertEqual(config["rootfs"]["diff_ids"], [digest(plain), digest(inner)])
        self.assertEqual(
            [entry["created_by"] for entry in config["history"]],
            ["bazel build //pkg:a.tar", "bazel build //pkg:b.tgz"],
        )

    def test_every_blob_has_its_digest(self) -> None:
        root = self.image("image", *self.layer("a.tar", tar_of(a="1")))
        blobs = list((root / "blobs" / "sha256").iterdir())
        self.assertEqual(len(blobs), 3)
        for blob in blobs:
            self.assertEqual(digest(blob.read_bytes()), "sha256:" + blob.name)

    def test_settings(self) -> None:
        root = self.image(
            "image",
            *("--entrypoint", self.file("entrypoint", "/app")),
            *("--cmd", self.file("cmd", "serve")),
            *("--env", self.file("env", "HOME=/home/app\nBIN=$HOME/bin")),
            *("--exposed-ports", self.file("ports", "80/tcp")),
            *("--volumes", self.file("volumes", "/data")),
            *("--labels", self.file("labels", "a=b")),
            *("--annotations", self.file("annotations", "c=d")),
            *("--created", self.file("created", "1980-01-01T00:00:00Z")),
            *("--user=1:2", "--workdir=/srv"),
        )
        self.assertEqual(
            self.config(root)["config"],
            {
                "Cmd": ["serve"],
                "Entrypoint": ["/app"],
                "Env": ["HOME=/home/app", "BIN=/home/app/bin"],
                "ExposedPorts": {"80/tcp": {}},
                "Labels": {"a": "b"},
                "User": "1:2",
                "Volumes": {"/data": {}},
                "WorkingDir": "/srv",
            },
        )
        self.assertEqual(self.config(root)["created"], "1980-01-01T00:00:00Z")
        self.assertEqual(self.manifest(root)["annotations"], {"c": "d"})

    def test_reproducible(self) -> None:
        options = self.layer("a.tar", tar_of(a="1"))
        self.assertEqual(tree(self.image("one", *options)), tree(self.image("two", *options)))

    def test_unsupported_compression(self) -> None:
        for start, name in ((b"\x28\xb5\x2f\xfd", "zstd"), (b"\xfd7zXZ\x00", "xz"), (b"BZh9", "bzip2")):
            with self.subTest(name):
                layer = self.layer("a.tar", start + b"...")
                text = self.fail_tool("image", "--output", self.dir / "image", *layer)
                self.assertRegex(text, f"compressed with {name}.*make it .tar or .tar.gz")

    def test_broken_gzip(self) -> None:
        layer = self.layer("a.tgz", gzip.compress(tar_of(a="1"))[:-9])
        self.assertRegex(self.fail_tool("image", "--output", self.dir / "image", *layer), "not a complete gzip file")


class BaseTest(TestCase):
    """Images upon others."""

    def setUp(self) -> None:
        super().setUp()
        self.base = self.image(
            "base",
            *self.layer("base.tar", tar_of(a="1")),
            *("--entrypoint", self.file("entrypoint", "/base")),
            *("--cmd", self.file("cmd", "base")),
            *("--env", self.file("env", "PATH=/bin")),
            *("--labels", self.file("labels", "a=1\nb=1")),
            *("--annotations", self.file("annotations", "a=1")),
            "--user=base",
            arch="arm64",
        )

    def test_inherits(self) -> None:
        root = self.image("image", base=self.base)
        self.assertEqual(self.manifest(root), self.manifest(self.base))

    def test_adds(self) -> None:
        layer = tar_of(b="2")
        root = self.image(
            "image",
            *self.layer("layer.tar", layer),
            *("--env", self.file("env2", "PATH=/opt:$PATH")),
            *("--labels", self.file("labels2", "b=2\nc=2")),
            *("--annotations", self.file("annotations2", "b=2")),
            base=self.base,
        )
        base, config = self.config(self.base), self.config(root)
        self.assertEqual(config["architecture"], "arm64")
        self.assertEqual(config["rootfs"]["diff_ids"], base["rootfs"]["diff_ids"] + [digest(layer)])
        self.assertEqual(len(config["history"]), 2)
        self.assertEqual(config["config"]["Env"], ["PATH=/opt:/bin"])
        self.assertEqual(config["config"]["Labels"], {"a": "1", "b": "2", "c": "2"})
        self.assertEqual(config["config"]["User"], "base")
        self.assertEqual(config["config"]["Cmd"], ["base"])
        self.assertEqual(self.manifest(root)["annotations"], {"a": "1", "b": "2"})
        self.assertEqual(self.manifest(root)["layers"][:1], self.manifest(self.base)["layers"])

    def test_entrypoint_drops_cmd(self) -> None:
        root = self.image("image", "--entrypoint", self.file("entrypoint2", "/app"), base=self.base)
        self.assertEqual(self.config(root)["config"]["Entrypoint"], ["/app"])
        self.assertNotIn("Cmd", self.config(root)["config"])

    def test_docker_media_types(self) -> None:
        layout = ocitool.Layout(self.base)
        manifest = self.manifest(self.base)
        del manifest["mediaType"]
        layout.set_root(layout.add_json(manifest, ocitool.DOCKER_MANIFEST))
        root = self.image("image", *self.layer("l.tgz", gzip.compress(b"")), base=self.base)
        self.assertEqual(self.manifest(root)["mediaType"], ocitool.DOCKER_MANIFEST)
        self.assertEqual(self.manifest(root)["layers"][1]["mediaType"], ocitool.DOCKER_LAYER + ".gzip")

    def test_no_layout(self) -> None:
        text = self.fail_tool("image", "--output", self.dir / "image", "--base", self.dir)
        self.assertRegex(text, "not an OCI image layout")

    def test_damaged(self) -> None:
        layer = self.manifest(self.base)["layers"][0]
        ocitool.Layout(self.base).path(layer["digest"]).write_bytes(b"x")
        text = self.fail_tool("image", "--output", self.dir / "image", "--base", self.base)
        self.assertRegex(text, "the image is damaged")

    def test_missing_blob(self) -> None:
        layer = self.manifest(self.base)["layers"][0]
        ocitool.Layout(self.base).path(layer["digest"]).unlink()
        text = self.fail_tool("image", "--output", self.dir / "image", "--base", self.base)
        self.assertRegex(text, "lacks its blob sha256:")

    def test_strange_digest(self) -> None:
        layout = ocitool.Layout(self.base)
        layout.set_root({**layout.root_descriptor(), "digest": "sha256:../../x"})
        text = self.fail_tool("image", "--output", self.dir / "image", "--base", self.base)
        self.assertRegex(text, "only sha256 digests")


class IndexTest(TestCase):
    """The subcommands `index` and `digest`."""

    def test_platforms(self) -> None:
        images = [self.image("amd", arch="amd64"), self.image("arm", "--variant=v8", arch="arm64")]
        root = self.dir / "index"
        self.run_tool("index", "--output", root, "--image", images[0], "--image", images[1])
        self.assertEqual(
            [(manifest["digest"], manifest["platform"]) for manifest in self.manifest(root)["manifests"]],
            [
                (ocitool.Layout(images[0]).root_descriptor()["digest"], {"architecture": "amd64", "os": "linux"}),
                (
                    ocitool.Layout(images[1]).root_descriptor()["digest"],
                    {"architecture": "arm64", "os": "linux", "variant": "v8"},
                ),
            ],
        )
        text = self.fail_tool("image", "--output", self.dir / "image", "--base", root)
        self.assertRegex(text, "give the image of one platform")

    def test_digest(self) -> None:
        root = self.image("image")
        index, output = self.dir / "index.json", self.dir / "digest"
        self.run_tool("digest", "--image", root, "--index", index, "--digest", output)
        self.assertEqual(index.read_bytes(), (root / "index.json").read_bytes())
        self.assertEqual(output.read_text(), json.loads(index.read_text())["manifests"][0]["digest"] + "\n")


class ArchiveTest(TestCase):
    """The subcommands `archive` and `load`."""

    def setUp(self) -> None:
        super().setUp()
        layer = self.layer("a.tar", tar_of(a="1"))
        self.root = self.image("image", *layer, *layer)
        self.tags = self.file("tags", "one:1\ntwo:2\n")

    def options(self, image: Path, kind: str) -> list[object]:
        """Returns the common options of `archive` and `load`."""
        return ["--image", image, "--repo-tags", self.tags, "--format", kind]

    def test_docker(self) -> None:
        output = self.dir / "archive.tar"
        self.run_tool("archive", *self.options(self.root, "docker"), "--output", output)
        files = members(output)
        [entry] = json.loads(files["manifest.json"])
        self.assertEqual(entry["RepoTags"], ["one:1", "two:2"])
        self.assertEqual(digest(files[entry["Config"]]), self.manifest(self.root)["config"]["digest"])
        self.assertEqual(
            [digest(files[layer]) for layer in entry["Layers"]], self.config(self.root)["rootfs"]["diff_ids"]
        )

    def test_oci(self) -> None:
        index, output = self.dir / "index", self.dir / "archive.tar"
        self.run_tool("index", "--output", index, "--image", self.root)
        self.run_tool("archive", *self.options(index, "oci"), "--output", output)
        files = members(output)
        entries = json.loads(files.pop("index.json"))["manifests"]
        self.assertEqual(
            [entry["annotations"]["org.opencontainers.image.ref.name"] for entry in entries], ["one:1", "two:2"]
        )
        expected = tree(index)
        del expected["index.json"]
        self.assertEqual(files, expected)

    def test_wrong_format(self) -> None:
        text = self.fail_tool("archive", *self.options(self.root, "oci"), "--output", self.dir / "archive.tar")
        self.assertRegex(text, "set format = 'docker'")

    def loader(self, name: str, script: str) -> Path:
        """A container tool."""
        path = self.file(name, "#!/bin/sh\n" + script)
        path.chmod(0o755)
        return path

    def test_load_from_named_file(self) -> None:
        loader = self.loader("loader", f'[ "$1 $2" = "load --input" ] && cat "$3" > {self.dir}/loaded')
        self.run_tool("load", *self.options(self.root, "docker"), "--loader", loader)
        self.run_tool("archive", *self.options(self.root, "docker"), "--output", self.dir / "archive.tar")
        self.assertEqual((self.dir / "loaded").read_bytes(), (self.dir / "archive.tar").read_bytes())

    def test_podman_reads_its_input(self) -> None:
        self.loader("podman", f'[ "$*" = load ] && /bin/cat > {self.dir}/loaded')
        with mock.patch.dict(os.environ, PATH=str(self.dir)):
            self.run_tool("load", *self.options(self.root, "docker"))
        self.assertTrue(tarfile.is_tarfile(self.dir / "loaded"))

    def test_no_loader(self) -> None:
        with mock.patch.dict(os.environ, PATH=str(self.dir)):
            text = self.fail_tool("load", *self.options(self.root, "docker"))
        self.assertRegex(text, "none of docker, podman, nerdctl is on the PATH: install one")

    def test_failing_loader(self) -> None:
        text = self.fail_tool("load", *self.options(self.root, "docker"), "--loader", self.loader("loader", "exit 3"))
        self.assertRegex(text, "failed with exit code 3")


if __name__ == "__main__":
    unittest.main()
