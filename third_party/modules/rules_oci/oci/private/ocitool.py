#!/usr/bin/env python3
"""Builds and packs container images in the OCI image layout.

Subcommands:

  image    a layout with one image, from scratch or from a base image
  index    a layout with one multi-platform image, from several images
  digest   the digest of a layout's image, and a copy of its index.json
  archive  a tar file of a layout's image, as `docker load` reads it
  load     the same, passed directly to docker, podman or nerdctl

The output depends only on the inputs, not on the clock, the machine or the order of a directory listing.
Layers are streamed, so an image may be larger than the memory.

The formats are those of https://github.com/opencontainers/image-spec.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Protocol

Json = dict[str, Any]

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"

# The media types of a new layer, plain and compressed with gzip, by the type of its manifest.
LAYER_TYPES = {
    MANIFEST: (LAYER, LAYER + "+gzip"),
    DOCKER_MANIFEST: (DOCKER_LAYER, DOCKER_LAYER + ".gzip"),
}

# The first bytes of compressed files.
GZIP = b"\x1f\x8b"
UNSUPPORTED = {
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ\x00": "xz",
    b"BZh": "bzip2",
}

# The default creation time of every image. The real time would differ from build to build.
EPOCH = "1970-01-01T00:00:00Z"
RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")

DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
VARIABLE = re.compile(r"\$\{?([a-zA-Z0-9_]+)\}?")

CHUNK = 1 << 20


class OciError(Exception):
    """A problem that the user can solve. The text says how."""


# ----------------------------------------------------------------------------------------------------------------------
# Bytes


class Readable(Protocol):
    """A source of bytes."""

    def read(self, size: int, /) -> bytes:
        """Reads up to `size` bytes; none at the end."""


def chunks(stream: Readable) -> Iterator[bytes]:
    """Yields the content of `stream` in pieces."""
    return iter(lambda: stream.read(CHUNK), b"")


def digest_of(pieces: Iterable[bytes], copy_to: BinaryIO | None = None) -> tuple[str, int]:
    """Returns the digest and the size of `pieces`. Also writes them to `copy_to`."""
    sha256 = hashlib.sha256()
    size = 0
    for piece in pieces:
        sha256.update(piece)
        size += len(piece)
        if copy_to:
            copy_to.write(piece)
    return "sha256:" + sha256.hexdigest(), size


def encode(value: Any) -> bytes:
    """Returns `value` as canonical JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def decode(data: bytes, name: str) -> Json:
    """Returns the JSON object in `data`. Errors call it `name`."""
    try:
        value = json.loads(data)
    except ValueError as error:
        raise OciError(f"{name} is not JSON ({error})") from error
    if not isinstance(value, dict):
        raise OciError(f"{name} is not a JSON object")
    return value


# ----------------------------------------------------------------------------------------------------------------------
# Layouts


class Layout:
    """A directory in the OCI image layout."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def open(cls, root: Path) -> Layout:
        """Opens the layout at `root`."""
        if not (root / "oci-layout").is_file():
            raise OciError(f"{root} is not an OCI image layout (no file oci-layout in it): give an oci_image")
        return cls(root)

    @classmethod
    def create(cls, root: Path) -> Layout:
        """Creates a layout without images at `root`."""
        (root / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
        (root / "oci-layout").write_bytes(encode({"imageLayoutVersion": "1.0.0"}))
        return cls(root)

    def path(self, digest: str) -> Path:
        """Returns the path of the blob with `digest`."""
        match = DIGEST.fullmatch(digest)
        if not match:
            raise OciError(f"{self.root} names a blob {digest!r}: only sha256 digests are supported")
        return self.root / "blobs" / "sha256" / match.group(1)

    def read(self, descriptor: Json) -> Json:
        """Returns the JSON object that `descriptor` describes."""
        buffer = io.BytesIO()
        self._verified(descriptor, buffer)
        return decode(buffer.getvalue(), f"blob {descriptor['digest']} of {self.root}")

    def add(self, pieces: Iterable[bytes], media_type: str) -> Json:
        """Stores `pieces` as a blob. Returns its descriptor."""
        incoming = self.root / "blobs" / "sha256" / "incoming"
        with incoming.open("wb") as file:
            digest, size = digest_of(pieces, file)
        incoming.replace(self.path(digest))
        return {"mediaType": media_type, "digest": digest, "size": size}

    def add_json(self, value: Json, media_type: str) -> Json:
        """Stores `value` as a blob. Returns its descriptor."""
        return self.add([encode(value)], media_type)

    def add_from(self, source: Layout, descriptor: Json) -> None:
        """Copies the blob of `descriptor` from another layout."""
        target = self.path(descriptor["digest"])
        if not target.exists():
            with target.open("wb") as file:
                source._verified(descriptor, file)

    def root_descriptor(self) -> Json:
        """Returns the descriptor of the layout's only entry: an image, or an index of images."""
        manifests = decode(self.index_bytes(), f"{self.root}/index.json").get("manifests") or []
        if len(manifests) != 1:
            raise OciError(f"{self.root}/index.json lists {len(manifests)} images: give a layout with exactly one")
        descriptor: Json = manifests[0]
        return descriptor

    def index_bytes(self) -> bytes:
        """Returns the layout's index.json."""
        return (self.root / "index.json").read_bytes()

    def set_root(self, descriptor: Json) -> None:
        """Makes `descriptor` the layout's only entry."""
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor]}
        (self.root / "index.json").write_bytes(encode(index))

    def _verified(self, descriptor: Json, copy_to: BinaryIO) -> None:
        """Writes the blob of `descriptor` to `copy_to`. Fails if its digest or size differs."""
        path = self.path(descriptor["digest"])
        if not path.is_file():
            raise OciError(f"{self.root} lacks its blob {descriptor['digest']}: build or fetch that image again")
        with path.open("rb") as file:
            found = digest_of(chunks(file), copy_to)
        if found != (descriptor["digest"], descriptor["size"]):
            raise OciError(f"{path} does not match its digest and size: the image is damaged")


def manifest_of(layout: Layout, descriptor: Json) -> Json:
    """Returns the manifest of the single image that `descriptor` describes."""
    media_type = descriptor.get("mediaType")
    if media_type in (INDEX, DOCKER_INDEX):
        raise OciError(f"{layout.root} is a multi-platform image: give the image of one platform")
    if media_type not in LAYER_TYPES:
        raise OciError(f"{layout.root} has an image of the unknown type {media_type!r}")
    return layout.read(descriptor)


# ----------------------------------------------------------------------------------------------------------------------
# Files with settings


def lines_of(path: Path) -> list[str]:
    """Returns the lines of a file, without the empty ones."""
    return [line for line in path.read_text(encoding="utf-8").split("\n") if line]


def arguments_of(path: Path) -> list[str]:
    """Returns a command line from a file with an argument per line, in which %5Cn means a newline."""
    return [line.replace("%5Cn", "\n") for line in lines_of(path)]


def names_of(path: Path) -> list[str]:
    """Returns the names in a file, which are separated by commas."""
    return [name.strip() for name in path.read_text(encoding="utf-8").split(",") if name.strip()]


def pairs_of(path: Path) -> list[tuple[str, str]]:
    """Returns the `name=value` lines of a file."""
    pairs = []
    for line in lines_of(path):
        name, _, value = line.partition("=")
        if not name:
            raise OciError(f"{path} has the line {line!r} without a name: write name=value")
        pairs.append((name, value))
    return pairs


def created_of(path: Path) -> str:
    """Returns the time in a file."""
    text = path.read_text(encoding="utf-8").strip()
    if not RFC3339.fullmatch(text):
        raise OciError(f"{path} has {text!r}, which is not an RFC 3339 time: write one like {EPOCH}")
    return text


# ----------------------------------------------------------------------------------------------------------------------
# Images


def expand(value: str, variables: Mapping[str, str]) -> str:
    """Replaces $NAME and ${NAME}. A variable that is not set stays as it is written."""
    return VARIABLE.sub(lambda match: variables.get(match.group(1), match.group(0)), value)


def merge_env(base: Iterable[str], settings: Iterable[tuple[str, str]]) -> list[str]:
    """Adds variables to those of the base image.

    A value may refer to variables set before it. An existing variable keeps its position, a new one goes last.
    """
    env = {}
    for entry in base:
        name, _, value = entry.partition("=")
        env[name] = value
    for name, value in settings:
        env[name] = expand(value, env)
    return [f"{name}={value}" for name, value in env.items()]


def is_gzip(path: Path) -> bool:
    """Returns whether a layer is compressed. Fails for a compression that is not supported."""
    with path.open("rb") as file:
        start = file.read(8)
    for magic, name in UNSUPPORTED.items():
        if start.startswith(magic):
            raise OciError(f"layer {path} is compressed with {name}, which is not supported: make it .tar or .tar.gz")
    return start.startswith(GZIP)


def diff_id_of(path: Path, compressed: bool) -> str:
    """Returns the digest of a layer's uncompressed tar file."""
    try:
        with gzip.open(path) if compressed else path.open("rb") as file:
            return digest_of(chunks(file))[0]
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise OciError(f"layer {path} is not a complete gzip file ({error}): build it again") from error


def add_layer(layout: Layout, manifest: Json, config: Json, path: Path, label: str) -> None:
    """Adds the tar file `path`, which the target `label` made, to an image."""
    compressed = is_gzip(path)
    media_type = LAYER_TYPES[manifest["mediaType"]][compressed]
    with path.open("rb") as file:
        manifest["layers"].append(layout.add(chunks(file), media_type))
    config["rootfs"]["diff_ids"].append(diff_id_of(path, compressed))
    config["history"].append({"created": EPOCH, "created_by": f"bazel build {label}"})


def from_scratch(platform: Mapping[str, str]) -> tuple[Json, Json]:
    """Returns the manifest and the configuration of an image without layers."""
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": {"mediaType": CONFIG}, "layers": []}
    config = {"created": EPOCH, "config": {}, "history": [], "rootfs": {"type": "layers", "diff_ids": []}, **platform}
    return manifest, config


def from_base(layout: Layout, base: Layout) -> tuple[Json, Json]:
    """Returns the manifest and the configuration of the image in `base`. Copies its layers to `layout`."""
    descriptor = base.root_descriptor()
    manifest = manifest_of(base, descriptor)
    config = base.read(manifest["config"])
    if len(config["rootfs"]["diff_ids"]) != len(manifest["layers"]):
        raise OciError(f"{base.root} does not have as many diff_ids as layers: the image is damaged")
    for layer in manifest["layers"]:
        layout.add_from(base, layer)
    # Optional in the specification.
    manifest["mediaType"] = descriptor["mediaType"]
    config["config"] = config.get("config") or {}
    config["history"] = config.get("history") or []
    return manifest, config


def apply_settings(manifest: Json, config: Json, options: argparse.Namespace) -> None:
    """Applies the options to the settings of the base image."""
    run = config["config"]
    if options.created:
        config["created"] = created_of(options.created)
    if options.entrypoint:
        run["Entrypoint"] = arguments_of(options.entrypoint)
        # The base's arguments were meant for the base's entrypoint.
        run.pop("Cmd", None)
    if options.cmd:
        run["Cmd"] = arguments_of(options.cmd)
    if options.env:
        run["Env"] = merge_env(run.get("Env") or [], pairs_of(options.env))
    if options.user:
        run["User"] = options.user
    if options.workdir:
        run["WorkingDir"] = options.workdir
    if options.exposed_ports:
        merge(run, "ExposedPorts", {name: {} for name in names_of(options.exposed_ports)})
    if options.volumes:
        merge(run, "Volumes", {name: {} for name in names_of(options.volumes)})
    if options.labels:
        merge(run, "Labels", dict(pairs_of(options.labels)))
    if options.annotations:
        merge(manifest, "annotations", dict(pairs_of(options.annotations)))


def merge(owner: Json, key: str, entries: Mapping[str, Any]) -> None:
    """Adds `entries` to the object at `key`, and replaces existing ones."""
    owner[key] = {**(owner.get(key) or {}), **entries}


def build_image(options: argparse.Namespace) -> None:
    """The subcommand `image`."""
    layout = Layout.create(options.output)
    if options.base:
        manifest, config = from_base(layout, Layout.open(options.base))
    else:
        platform = {"os": options.os, "architecture": options.architecture, "variant": options.variant}
        manifest, config = from_scratch({name: value for name, value in platform.items() if value})
    for path, label in options.layer:
        add_layer(layout, manifest, config, Path(path), label)
    apply_settings(manifest, config, options)
    manifest["config"] = layout.add_json(config, manifest["config"]["mediaType"])
    layout.set_root(layout.add_json(manifest, manifest["mediaType"]))


# ----------------------------------------------------------------------------------------------------------------------
# Multi-platform images

PLATFORM_FIELDS = ("architecture", "os", "os.features", "os.version", "variant")


def add_image(layout: Layout, image: Layout) -> Json:
    """Copies an image into `layout`. Returns its descriptor with its platform."""
    descriptor = image.root_descriptor()
    manifest = manifest_of(image, descriptor)
    config = image.read(manifest["config"])
    for blob in (descriptor, manifest["config"], *manifest["layers"]):
        layout.add_from(image, blob)
    return {**descriptor, "platform": {name: config[name] for name in PLATFORM_FIELDS if config.get(name)}}


def build_index(options: argparse.Namespace) -> None:
    """The subcommand `index`."""
    layout = Layout.create(options.output)
    manifests = [add_image(layout, Layout.open(image)) for image in options.image]
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}
    layout.set_root(layout.add_json(index, INDEX))


def write_digest(options: argparse.Namespace) -> None:
    """The subcommand `digest`."""
    layout = Layout.open(options.image)
    options.index.write_bytes(layout.index_bytes())
    options.digest.write_text(layout.root_descriptor()["digest"] + "\n", encoding="utf-8")


# ----------------------------------------------------------------------------------------------------------------------
# Archives


class Archive:
    """A tar file that does not depend on the machine that writes it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._tar = tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT)
        self._names: set[str] = set()

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self._tar.close()

    def add_bytes(self, name: str, data: bytes) -> None:
        """Adds a file with the content `data`."""
        self._add(name, len(data), io.BytesIO(data))

    def add_file(self, name: str, path: Path) -> None:
        """Adds the file at `path`."""
        with path.open("rb") as file:
            self._add(name, os.fstat(file.fileno()).st_size, file)

    def _add(self, name: str, size: int, content: BinaryIO) -> None:
        # An image may have a layer twice. The archive needs its file once.
        if name not in self._names:
            self._names.add(name)
            entry = tarfile.TarInfo(name)
            entry.size = size
            entry.mode = 0o644
            self._tar.addfile(entry, content)


def blob_name(digest: str) -> str:
    """Returns the path of a blob in a layout."""
    return "blobs/" + digest.replace(":", "/")


def write_docker_archive(archive: Archive, layout: Layout, repo_tags: list[str]) -> None:
    """Writes a single image as `docker save` would."""
    manifest = manifest_of(layout, layout.root_descriptor())
    config = manifest["config"]["digest"]
    archive.add_file(blob_name(config), layout.path(config))
    layers = []
    for layer in manifest["layers"]:
        # This extension is customary, even for uncompressed layers: readers look at the content.
        layers.append(blob_name(layer["digest"]) + ".tar.gz")
        archive.add_file(layers[-1], layout.path(layer["digest"]))
    entry = {"Config": blob_name(config), "RepoTags": repo_tags, "Layers": layers}
    archive.add_bytes("manifest.json", encode([entry]))


def write_oci_archive(archive: Archive, layout: Layout, repo_tags: list[str]) -> None:
    """Writes a multi-platform image as a layout in which every tag names it."""
    root = layout.root_descriptor()
    archive.add_file("oci-layout", layout.root / "oci-layout")
    archive.add_file(blob_name(root["digest"]), layout.path(root["digest"]))
    for image in layout.read(root)["manifests"]:
        manifest = manifest_of(layout, image)
        for blob in (image, manifest["config"], *manifest["layers"]):
            archive.add_file(blob_name(blob["digest"]), layout.path(blob["digest"]))
    tagged = [{**root, "annotations": {"org.opencontainers.image.ref.name": tag}} for tag in repo_tags]
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": tagged or [root]}
    archive.add_bytes("index.json", encode(index))


def write_archive(stream: BinaryIO, options: argparse.Namespace) -> None:
    """Writes the archive that the options describe."""
    layout = Layout.open(options.image)
    is_index = layout.root_descriptor().get("mediaType") in (INDEX, DOCKER_INDEX)
    if is_index != (options.format == "oci"):
        kind, wanted = ("an oci_image_index", "oci") if is_index else ("an oci_image", "docker")
        raise OciError(f"{layout.root} is {kind}, which has no archive of that format: set format = {wanted!r}")
    write = write_oci_archive if is_index else write_docker_archive
    with Archive(stream) as archive:
        write(archive, layout, options.repo_tags.read_text(encoding="utf-8").split())


def archive_image(options: argparse.Namespace) -> None:
    """The subcommand `archive`."""
    with options.output.open("wb") as file:
        write_archive(file, options)


# ----------------------------------------------------------------------------------------------------------------------
# Loading

LOADERS = ("docker", "podman", "nerdctl")


def find_loader(given: Path | None) -> str:
    """Returns the container tool to load with."""
    if given:
        return str(given.absolute())
    for name in LOADERS:
        if shutil.which(name):
            return name
    raise OciError(
        f"none of {', '.join(LOADERS)} is on the PATH: install one, or name another tool in the attribute "
        "'loader' of oci_load"
    )


def load_image(options: argparse.Namespace) -> None:
    """The subcommand `load`."""
    loader = find_loader(options.loader)
    reader, writer = os.pipe()
    # Unlike the others, podman reads an archive from standard input but not from a named pipe.
    source = [] if loader == "podman" else ["--input", f"/dev/fd/{reader}"]
    with subprocess.Popen([loader, "load", *source], stdin=reader, pass_fds=[reader]) as process:
        os.close(reader)
        try:
            with os.fdopen(writer, "wb") as stream:
                write_archive(stream, options)
        except BrokenPipeError:
            pass  # The loader stopped early. Its exit code tells whether that is an error.
    if process.returncode:
        raise OciError(f"'{loader} load' failed with exit code {process.returncode}; its own message is above")


# ----------------------------------------------------------------------------------------------------------------------
# The command line


def add_image_options(parser: argparse.ArgumentParser) -> None:
    """The options of the subcommand `image`."""
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--base", type=Path)
    parser.add_argument("--layer", nargs=2, action="append", default=[], metavar=("TAR", "LABEL"))
    for name in ("os", "architecture", "variant", "user", "workdir"):
        parser.add_argument(f"--{name}")
    for name in ("created", "entrypoint", "cmd", "env", "exposed-ports", "volumes", "labels", "annotations"):
        parser.add_argument(f"--{name}", type=Path, metavar="FILE")


def add_archive_options(parser: argparse.ArgumentParser) -> None:
    """The options that the subcommands `archive` and `load` share."""
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("--repo-tags", type=Path, required=True, metavar="FILE")
    parser.add_argument("--format", choices=["docker", "oci"], default="docker")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="ocitool", description="Builds and packs container images.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    image = commands.add_parser("image", help="build an image")
    add_image_options(image)
    image.set_defaults(run=build_image)

    index = commands.add_parser("index", help="build a multi-platform image")
    index.add_argument("--output", type=Path, required=True)
    index.add_argument("--image", type=Path, action="append", required=True)
    index.set_defaults(run=build_index)

    digest = commands.add_parser("digest", help="write an image's digest")
    for name in ("image", "index", "digest"):
        digest.add_argument(f"--{name}", type=Path, required=True)
    digest.set_defaults(run=write_digest)

    archive = commands.add_parser("archive", help="write an image's archive")
    add_archive_options(archive)
    archive.add_argument("--output", type=Path, required=True)
    archive.set_defaults(run=archive_image)

    load = commands.add_parser("load", help="load an image into a container tool")
    add_archive_options(load)
    load.add_argument("--loader", type=Path)
    load.set_defaults(run=load_image)

    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Runs one subcommand. Returns the exit code."""
    options = parse(arguments)
    try:
        options.run(options)
    except (OciError, OSError) as error:
        print(f"ocitool: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
