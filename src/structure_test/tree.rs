//! The file system of an image's layers, in memory, with the metadata of their tar headers.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context, Result, bail};
use tar::{Entry, EntryType};

/// The number of symbolic links that Linux follows.
const MAX_SYMLINKS: usize = 40;
const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &str = ".wh..wh..opq";

/// A file, directory or other entry.
#[derive(Clone, Debug)]
pub struct Node {
    /// The kind of entry.
    pub kind: Kind,
    /// The permissions, and the set-user-ID, set-group-ID and sticky bits.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The owner's group.
    pub gid: u32,
}

/// The kind of a node.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A file, with its content. Hard links share it.
    File(Rc<[u8]>),
    /// A symbolic link, with its target.
    Symlink(PathBuf),
    /// A named pipe.
    Fifo,
    /// A block device.
    BlockDevice,
    /// A character device.
    CharacterDevice,
}

/// A file system, by absolute path. It contains the parent directory of each node, which is not a
/// link.
#[derive(Debug)]
pub struct Tree {
    nodes: BTreeMap<PathBuf, Node>,
}

/// The addition that an entry of a layer makes.
enum Addition {
    Node(Node),
    HardLink(PathBuf),
}

impl Tree {
    /// Returns an empty root.
    #[must_use]
    pub fn new() -> Self {
        Self {
            nodes: BTreeMap::from([(PathBuf::from("/"), directory())]),
        }
    }

    /// Applies a layer, which is a tar file.
    pub fn apply(&mut self, layer: impl Read) -> Result<()> {
        let mut additions = Vec::new();
        for entry in tar::Archive::new(layer).entries()? {
            let mut entry = entry?;
            let path = absolute(&entry.path()?)?;
            // Whiteouts hide entries of lower layers only, whatever their position in this one.
            if !self.hide(&path) {
                let addition = read(&mut entry).with_context(|| path.display().to_string())?;
                additions.extend(addition.map(|addition| (path, addition)));
            }
        }
        for (path, addition) in additions {
            self.add(&path, addition)
                .with_context(|| path.display().to_string())?;
        }
        Ok(())
    }

    /// Returns all nodes. Each directory precedes its contents.
    pub fn nodes(&self) -> impl Iterator<Item = (&Path, &Node)> {
        self.nodes.iter().map(|(path, node)| (path.as_path(), node))
    }

    /// Returns the node at `path`. If it is a link, returns the link itself.
    #[must_use]
    pub fn node(&self, path: &Path) -> Option<&Node> {
        self.nodes.get(&self.resolve(path, false)?)
    }

    /// Returns the content of the file at `path`, and follows links.
    pub fn content(&self, path: &Path) -> Result<&[u8]> {
        let place = self.resolve(path, true).context("there is no such file")?;
        match self.nodes.get(&place).map(|node| &node.kind) {
            Some(Kind::File(content)) => Ok(content),
            Some(Kind::Directory) => bail!("it is a directory"),
            _ => bail!("it is not a file"),
        }
    }

    /// Resolves the links in a path; the last component only if `to_the_end`.
    fn resolve(&self, path: &Path, to_the_end: bool) -> Option<PathBuf> {
        let mut place = PathBuf::from("/");
        let mut rest: VecDeque<OsString> = names(path).map(OsStr::to_owned).collect();
        let mut followed = 0;
        while let Some(name) = rest.pop_front() {
            if name == ".." {
                place.pop();
                continue;
            }
            let next = place.join(&name);
            match &self.nodes.get(&next)?.kind {
                Kind::Symlink(target) if to_the_end || !rest.is_empty() => {
                    followed += 1;
                    if followed > MAX_SYMLINKS {
                        return None;
                    }
                    if target.is_absolute() {
                        place = PathBuf::from("/");
                    }
                    rest = names(target).map(OsStr::to_owned).chain(rest).collect();
                }
                Kind::Directory => place = next,
                _ if rest.is_empty() => place = next,
                _ => return None,
            }
        }
        Some(place)
    }

    /// Applies a whiteout. Returns `false` if `path` is not one.
    fn hide(&mut self, path: &Path) -> bool {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return false;
        };
        let Some(hidden) = name.as_bytes().strip_prefix(WHITEOUT) else {
            return false;
        };
        if let Some(parent) = self.resolve(parent, true) {
            if name == OPAQUE {
                self.nodes
                    .retain(|path, _| *path == parent || !path.starts_with(&parent));
            } else {
                self.remove(&parent.join(OsStr::from_bytes(hidden)));
            }
        }
        true
    }

    fn add(&mut self, path: &Path, addition: Addition) -> Result<()> {
        let node = match addition {
            Addition::Node(node) => node,
            Addition::HardLink(target) => self.node(&target).cloned().with_context(|| {
                format!("a hard link to {}, which does not exist", target.display())
            })?,
        };
        let place = match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => self.directory_at(parent)?.join(name),
            _ => path.to_owned(),
        };
        if !matches!(node.kind, Kind::Directory) {
            self.remove(&place);
        }
        self.nodes.insert(place, node);
        Ok(())
    }

    /// Returns the directory at `path`, with its links resolved. Creates it if it does not exist.
    fn directory_at(&mut self, path: &Path) -> Result<PathBuf> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(PathBuf::from("/"));
        };
        let place = self.directory_at(parent)?.join(name);
        match self.nodes.get(&place).map(|node| &node.kind) {
            Some(Kind::Directory) => {}
            Some(Kind::Symlink(_)) => {
                let target = self.resolve(&place, true);
                return target.with_context(|| {
                    format!(
                        "{} is a link to a file that does not exist",
                        place.display()
                    )
                });
            }
            _ => {
                self.nodes.insert(place.clone(), directory());
            }
        }
        Ok(place)
    }

    fn remove(&mut self, path: &Path) {
        self.nodes.retain(|other, _| !other.starts_with(path));
    }
}

#[cfg(test)]
impl Tree {
    /// Returns a tree with these files.
    pub fn of(files: &[(&str, &str)]) -> Self {
        let mut layer = tar::Builder::new(Vec::new());
        for (path, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            header.set_uid(0);
            header.set_gid(0);
            header.set_size(content.len() as u64);
            layer
                .append_data(&mut header, path, content.as_bytes())
                .unwrap();
        }
        let mut tree = Self::new();
        tree.apply(layer.into_inner().unwrap().as_slice()).unwrap();
        tree
    }
}

fn directory() -> Node {
    Node {
        kind: Kind::Directory,
        mode: 0o755,
        uid: 0,
        gid: 0,
    }
}

/// Reads an entry. Returns `None` if it is not part of the file system, such as a comment.
fn read(entry: &mut Entry<'_, impl Read>) -> Result<Option<Addition>> {
    let link = || -> Result<PathBuf> {
        Ok(entry
            .link_name()?
            .context("a link without a target")?
            .into_owned())
    };
    let kind = match entry.header().entry_type() {
        EntryType::Directory => Kind::Directory,
        EntryType::Symlink => Kind::Symlink(link()?),
        EntryType::Link => return Ok(Some(Addition::HardLink(absolute(&link()?)?))),
        EntryType::Fifo => Kind::Fifo,
        EntryType::Block => Kind::BlockDevice,
        EntryType::Char => Kind::CharacterDevice,
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            Kind::File(content.into())
        }
        _ => return Ok(None),
    };
    let header = entry.header();
    Ok(Some(Addition::Node(Node {
        kind,
        mode: header.mode()? & 0o7777,
        uid: u32::try_from(header.uid()?)?,
        gid: u32::try_from(header.gid()?)?,
    })))
}

/// Returns the path in the image for a path of a tar file.
fn absolute(path: &Path) -> Result<PathBuf> {
    if names(path).any(|name| name == "..") {
        bail!(
            "the layer has the path {}, which contains `..`",
            path.display()
        );
    }
    Ok(Path::new("/").join(names(path).collect::<PathBuf>()))
}

/// Returns the components of a path, including `..`.
fn names(path: &Path) -> impl Iterator<Item = &OsStr> {
    path.components().filter_map(|component| match component {
        Component::Normal(_) | Component::ParentDir => Some(component.as_os_str()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use tar::{Builder, Header};

    use super::*;

    /// A layer under construction.
    struct Layer(Builder<Vec<u8>>);

    impl Layer {
        fn new() -> Self {
            Self(Builder::new(Vec::new()))
        }

        fn with(mut self, path: &str, kind: EntryType, content: &str) -> Self {
            let mut header = Header::new_gnu();
            header.set_entry_type(kind);
            header.set_mode(0o640);
            header.set_uid(7);
            header.set_gid(8);
            if matches!(kind, EntryType::Symlink | EntryType::Link) {
                header.set_size(0);
                self.0.append_link(&mut header, path, content).unwrap();
            } else {
                header.set_size(content.len() as u64);
                self.0
                    .append_data(&mut header, path, content.as_bytes())
                    .unwrap();
            }
            self
        }

        fn file(self, path: &str, content: &str) -> Self {
            self.with(path, EntryType::Regular, content)
        }

        fn directory(self, path: &str) -> Self {
            self.with(path, EntryType::Directory, "")
        }

        fn symlink(self, path: &str, target: &str) -> Self {
            self.with(path, EntryType::Symlink, target)
        }
    }

    fn tree<const N: usize>(layers: [Layer; N]) -> Tree {
        let mut tree = Tree::new();
        for layer in layers {
            tree.apply(layer.0.into_inner().unwrap().as_slice())
                .unwrap();
        }
        tree
    }

    fn paths(tree: &Tree) -> Vec<&str> {
        tree.nodes()
            .map(|(path, _)| path.to_str().unwrap())
            .collect()
    }

    fn text<'a>(tree: &'a Tree, path: &str) -> &'a str {
        std::str::from_utf8(tree.content(Path::new(path)).unwrap()).unwrap()
    }

    #[test]
    fn a_later_layer_replaces_files() {
        let tree = tree([
            Layer::new().file("a/b", "old"),
            Layer::new().file("./a/b", "new"),
        ]);
        assert_eq!(paths(&tree), ["/", "/a", "/a/b"]);
        assert_eq!(text(&tree, "/a/b"), "new");
        let node = tree.node(Path::new("/a/b")).unwrap();
        assert_eq!((node.mode, node.uid, node.gid), (0o640, 7, 8));
    }

    #[test]
    fn a_whiteout_removes_entries_of_lower_layers() {
        let lower = Layer::new()
            .file("a/gone/deep", "")
            .file("a/gone2", "")
            .file("a/stays", "");
        let upper = Layer::new().file("a/.wh.gone", "").file("a/.wh.gone2", "");
        assert_eq!(paths(&tree([lower, upper])), ["/", "/a", "/a/stays"]);
    }

    #[test]
    fn a_whiteout_keeps_entries_of_its_own_layer() {
        let lower = Layer::new().file("a/b", "old").file("a/c", "old");
        let upper = Layer::new()
            .file("a/b", "new")
            .file("a/.wh.b", "")
            .file("a/.wh..wh..opq", "");
        let tree = tree([lower, upper]);
        assert_eq!(paths(&tree), ["/", "/a", "/a/b"]);
        assert_eq!(text(&tree, "/a/b"), "new");
    }

    #[test]
    fn an_opaque_whiteout_removes_only_the_contents_of_its_directory() {
        let lower = Layer::new().directory("a").file("a/b/c", "").file("ab", "");
        let upper = Layer::new().file("a/.wh..wh..opq", "");
        assert_eq!(paths(&tree([lower, upper])), ["/", "/a", "/ab"]);
    }

    #[test]
    fn a_directory_keeps_its_contents_when_repeated_but_not_when_replaced_by_a_file() {
        let lower = || Layer::new().file("a/b", "");
        assert_eq!(
            paths(&tree([lower(), Layer::new().directory("a")])),
            ["/", "/a", "/a/b"]
        );
        assert_eq!(
            paths(&tree([lower(), Layer::new().file("a", "")])),
            ["/", "/a"]
        );
        let directory_for_file = tree([Layer::new().file("a", ""), lower()]);
        assert_eq!(paths(&directory_for_file), ["/", "/a", "/a/b"]);
    }

    #[test]
    fn hard_links_share_their_content() {
        let tree = tree([
            Layer::new()
                .file("a", "text")
                .with("b", EntryType::Link, "a"),
            Layer::new().file(".wh.a", ""),
        ]);
        assert_eq!(paths(&tree), ["/", "/b"]);
        assert_eq!(text(&tree, "/b"), "text");
    }

    #[test]
    fn symbolic_links_resolve_within_the_image() {
        let tree = tree([Layer::new()
            .file("etc/passwd", "the image's")
            .symlink("absolute", "/etc/passwd")
            .symlink("a/relative", "../etc/passwd")
            .symlink("out", "../../../../etc")
            .symlink("loop", "loop")]);
        for path in [
            "/absolute",
            "/a/relative",
            "/out/passwd",
            "/a/../out/../etc/passwd",
        ] {
            assert_eq!(text(&tree, path), "the image's", "{path}");
        }
        assert!(tree.content(Path::new("/loop")).is_err());
        let link = tree.node(Path::new("/out")).unwrap();
        assert!(matches!(link.kind, Kind::Symlink(_)));
    }

    #[test]
    fn a_layer_writes_through_links_to_directories() {
        let tree = tree([
            Layer::new().directory("usr/lib").symlink("lib", "usr/lib"),
            Layer::new().file("lib/x", "").file("lib/.wh.y", ""),
        ]);
        assert_eq!(
            paths(&tree),
            ["/", "/lib", "/usr", "/usr/lib", "/usr/lib/x"]
        );
    }

    #[test]
    fn a_path_with_dot_dot_is_refused() {
        let mut header = Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..4].copy_from_slice(b"../x");
        header.set_size(0);
        header.set_cksum();
        let mut layer = Builder::new(Vec::new());
        layer.append(&header, std::io::empty()).unwrap();
        let refused = Tree::new()
            .apply(layer.into_inner().unwrap().as_slice())
            .unwrap_err();
        assert!(refused.to_string().contains("../x"), "{refused:#}");
    }
}
