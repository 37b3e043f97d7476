#!/usr/bin/env python3
"""Reads the images of this package by the OCI image specification and compares them with their rules.

Arguments: the layouts of the images base, app, arm and multi, the digest file and the tarball of app.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import sys
import tarfile
import unittest
from pathlib import Path
from typing import Any

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"

BASE, APP, ARM, MULTI, DIGEST, TARBALL = (Path(argument) for argument in sys.argv[1:7])


def digest_of(data: bytes) -> str:
    """The OCI digest of `data`."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def texts_in(data: bytes) -> dict[str, str]:
    """The files in a tar file, by their path below the root."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        files = ((entry.name, tar.extractfile(entry)) for entry in tar if entry.isfile())
        return {name.lstrip("./"): file.read().decode() for name, file in files if file}


class Layout:
    """A layout, all parts of which are checked when they are read."""

    def __init__(self, test: unittest.TestCase, root: Path) -> None:
        self.test = test
        self.root = root
        test.assertEqual(json.loads((root / "oci-layout").read_bytes()), {"imageLayoutVersion": "1.0.0"})
        for blob in (root / "blobs" / "sha256").iterdir():
            test.assertEqual(digest_of(blob.read_bytes()), "sha256:" + blob.name)
        index = json.loads((root / "index.json").read_bytes())
        # rules_oci leaves these out of some layouts, which all readers accept.
        test.assertEqual(index.get("schemaVersion", 2), 2)
        test.assertEqual(index.get("mediaType", INDEX), INDEX)
        [self.descriptor] = index["manifests"]

    def blob(self, descriptor: dict[str, Any]) -> bytes:
        """The content that a descriptor describes."""
        self.test.assertRegex(descriptor["digest"], r"^sha256:[0-9a-f]{64}$")
        data: bytes = (self.root / "blobs" / descriptor["digest"].replace(":", "/")).read_bytes()
        self.test.assertEqual((digest_of(data), len(data)), (descriptor["digest"], descriptor["size"]))
        return data

    def manifest(self) -> dict[str, Any]:
        """The manifest of the layout's image."""
        return self.manifest_at(self.descriptor)

    def manifest_at(self, descriptor: dict[str, Any]) -> dict[str, Any]:
        """The manifest that a descriptor describes."""
        self.test.assertEqual(descriptor["mediaType"], MANIFEST)
        manifest: dict[str, Any] = json.loads(self.blob(descriptor))
        self.test.assertEqual(manifest["schemaVersion"], 2)
        self.test.assertEqual(manifest["mediaType"], MANIFEST)
        self.test.assertEqual(manifest["config"]["mediaType"], CONFIG)
        return manifest

    def config(self) -> dict[str, Any]:
        """The configuration of the layout's image."""
        return self.config_of(self.manifest())

    def config_of(self, manifest: dict[str, Any]) -> dict[str, Any]:
        """The configuration of a manifest's image, whose layers must be those of the manifest."""
        config: dict[str, Any] = json.loads(self.blob(manifest["config"]))
        self.test.assertEqual(config["rootfs"]["type"], "layers")
        diff_ids = [digest_of(self.tar(layer)) for layer in manifest["layers"]]
        self.test.assertEqual(config["rootfs"]["diff_ids"], diff_ids)
        if "history" in config:
            made_layers = [entry for entry in config["history"] if not entry.get("empty_layer")]
            self.test.assertEqual(len(made_layers), len(diff_ids))
        return config

    def tar(self, layer: dict[str, Any]) -> bytes:
        """A layer's tar file."""
        data = self.blob(layer)
        if layer["mediaType"] == LAYER:
            return data
        self.test.assertEqual(layer["mediaType"], LAYER + "+gzip")
        return gzip.decompress(data)


class ImageTest(unittest.TestCase):
    """The images."""

    def test_from_scratch(self) -> None:
        base = Layout(self, BASE)
        manifest, config = base.manifest(), base.config()
        self.assertEqual([layer["mediaType"] for layer in manifest["layers"]], [LAYER])
        self.assertEqual(texts_in(base.tar(manifest["layers"][0])), {"etc/base.txt": "base\n"})
        self.assertEqual(manifest["annotations"], {"org.example.base": "annotation"})
        self.assertEqual((config["os"], config["architecture"]), ("linux", "amd64"))
        self.assertEqual(
            config["config"],
            {
                "Cmd": ["dropped"],
                "Entrypoint": ["/bin/base"],
                "Env": ["PATH=/bin", "HOME=/home/app"],
                "ExposedPorts": {"80/tcp": {}},
                "Labels": {"org.example.kept": "base", "org.example.replaced": "base"},
                "User": "65534:65534",
                "Volumes": {"/var/base": {}},
            },
        )

    def test_upon_base(self) -> None:
        app, base = Layout(self, APP), Layout(self, BASE)
        manifest, config = app.manifest(), app.config()
        self.assertEqual(manifest["layers"][:-1], base.manifest()["layers"])
        self.assertEqual(manifest["layers"][-1]["mediaType"], LAYER + "+gzip")
        self.assertEqual(texts_in(app.tar(manifest["layers"][-1])), {"srv/app.txt": "app\n"})
        self.assertEqual(manifest["annotations"], {"org.example.base": "annotation", "org.example.app": "annotation"})
        self.assertEqual((config["os"], config["architecture"]), ("linux", "amd64"))
        self.assertEqual(config["created"], "2001-02-03T04:05:06Z")
        self.assertEqual(
            config["config"],
            {
                # There is no Cmd: the new entrypoint drops that of the base.
                "Entrypoint": ["/bin/app", "--flag=a,b"],
                "Env": ["PATH=/srv/app/bin:/bin", "HOME=/home/app", "APP=/srv/app", "OPTIONS=a=b c"],
                "ExposedPorts": {"53/udp": {}, "80/tcp": {}, "443/tcp": {}},
                "Labels": {
                    "org.example.equation": "a=b",
                    "org.example.kept": "base",
                    "org.example.replaced": "app",
                },
                "User": "65534:65534",
                "Volumes": {"/var/app": {}, "/var/base": {}},
                "WorkingDir": "/srv",
            },
        )

    def test_digest(self) -> None:
        self.assertEqual(DIGEST.read_text(), Layout(self, APP).descriptor["digest"] + "\n")

    def test_variant(self) -> None:
        config = Layout(self, ARM).config()
        self.assertEqual((config["os"], config["architecture"], config["variant"]), ("linux", "arm64", "v8"))

    def test_index(self) -> None:
        multi = Layout(self, MULTI)
        self.assertEqual(multi.descriptor["mediaType"], INDEX)
        index = json.loads(multi.blob(multi.descriptor))
        self.assertEqual((index["schemaVersion"], index["mediaType"]), (2, INDEX))
        [descriptor] = index["manifests"]
        self.assertEqual(descriptor["platform"], {"os": "linux", "architecture": "arm64", "variant": "v8"})
        self.assertEqual(descriptor["digest"], Layout(self, ARM).descriptor["digest"])
        self.assertEqual(multi.config_of(multi.manifest_at(descriptor)), Layout(self, ARM).config())

    def test_docker_tarball(self) -> None:
        app = Layout(self, APP)
        manifest = app.manifest()
        with tarfile.open(TARBALL) as tar:
            files = {entry.name: file.read() for entry in tar if (file := tar.extractfile(entry))}
        [image] = json.loads(files["manifest.json"])
        self.assertEqual(image["RepoTags"], ["roma/app:latest", "roma/app:1"])
        self.assertEqual(files[image["Config"]], app.blob(manifest["config"]))
        self.assertEqual([files[name] for name in image["Layers"]], [app.blob(layer) for layer in manifest["layers"]])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
