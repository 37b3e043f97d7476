//! Reading an image from a folder in the OCI image layout.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Deserializer};

use crate::tree::Tree;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTANDARD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// An image: its settings and its files.
#[derive(Debug)]
pub struct Image {
    /// The settings that it is run with.
    pub settings: Settings,
    /// The files.
    pub tree: Tree,
}

/// The settings of an image's configuration that containers are run with.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Settings {
    /// The environment, each entry as `NAME=value`.
    #[serde(deserialize_with = "null_is_default")]
    pub env: Vec<String>,
    /// The program and its first arguments.
    #[serde(deserialize_with = "null_is_default")]
    pub entrypoint: Vec<String>,
    /// The arguments that a user may replace.
    #[serde(deserialize_with = "null_is_default")]
    pub cmd: Vec<String>,
    /// The exposed ports, such as `80/tcp`.
    #[serde(deserialize_with = "null_is_default")]
    pub exposed_ports: BTreeMap<String, serde_json::Value>,
    /// Directories that hold data.
    #[serde(deserialize_with = "null_is_default")]
    pub volumes: BTreeMap<String, serde_json::Value>,
    /// The labels.
    #[serde(deserialize_with = "null_is_default")]
    pub labels: BTreeMap<String, String>,
    /// The directory to start in.
    pub working_dir: String,
    /// The user to run as: `user` or `user:group`, each a name or a number.
    pub user: String,
}

impl Settings {
    /// Returns the environment, by name.
    #[must_use]
    pub fn variables(&self) -> BTreeMap<String, String> {
        self.env
            .iter()
            .map(|one| one.split_once('=').unwrap_or((one, "")))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Configuration {
    #[serde(default, deserialize_with = "null_is_default")]
    config: Settings,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    architecture: String,
}

/// Reads the image in the folder `layout`.
pub fn read(layout: &Path) -> Result<Image> {
    let index = layout.join("index.json");
    let mut descriptor =
        for_this_machine(parse::<Index>(&index)?).context(index.display().to_string())?;
    while descriptor.media_type.contains("index") || descriptor.media_type.contains("manifest.list")
    {
        let inner = blob(layout, &descriptor)?;
        descriptor =
            for_this_machine(parse::<Index>(&inner)?).context(inner.display().to_string())?;
    }
    let manifest: Manifest = parse(&blob(layout, &descriptor)?)?;
    let configuration: Configuration = parse(&blob(layout, &manifest.config)?)?;
    let mut tree = Tree::new();
    for layer in &manifest.layers {
        let path = blob(layout, layer)?;
        open_layer(&path)
            .and_then(|layer| tree.apply(layer))
            .with_context(|| path.display().to_string())?;
    }
    Ok(Image {
        settings: configuration.config,
        tree,
    })
}

/// Returns the only image, or the one for this machine's architecture.
fn for_this_machine(index: Index) -> Result<Descriptor> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let count = index.manifests.len();
    let fits = |one: &Descriptor| {
        count == 1
            || one
                .platform
                .as_ref()
                .is_some_and(|platform| platform.architecture == architecture)
    };
    let chosen = index.manifests.into_iter().find(fits);
    chosen.with_context(|| format!("none of the {count} images is for {architecture}"))
}

fn blob(layout: &Path, descriptor: &Descriptor) -> Result<PathBuf> {
    let digest = &descriptor.digest;
    match digest.split_once(':') {
        Some((algorithm, hash)) if [algorithm, hash].iter().all(|part| is_plain(part)) => {
            Ok(layout.join("blobs").join(algorithm).join(hash))
        }
        _ => bail!("{}: `{digest}` is not a digest", layout.display()),
    }
}

fn is_plain(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn parse<T: for<'a> Deserialize<'a>>(file: &Path) -> Result<T> {
    let text = fs::read(file).with_context(|| file.display().to_string())?;
    serde_json::from_slice(&text).with_context(|| file.display().to_string())
}

/// Opens a layer's tar file. Its first bytes tell the compression.
fn open_layer(path: &Path) -> Result<Box<dyn Read>> {
    let mut file = File::open(path)?;
    let mut start = Vec::new();
    Read::by_ref(&mut file).take(4).read_to_end(&mut start)?;
    file.rewind()?;
    if start.starts_with(ZSTANDARD) {
        bail!("a layer compressed with zstd, which this runner cannot read; use gzip");
    }
    let file = BufReader::new(file);
    Ok(if start.starts_with(GZIP) {
        Box::new(MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    })
}

fn null_is_default<'a, D: Deserializer<'a>, T: Default + Deserialize<'a>>(
    from: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}
