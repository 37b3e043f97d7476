//! Copying an image's files into a folder.

use std::collections::HashMap;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context, Result};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use roma_sandbox::Errno;

use crate::tree::{Kind, Node, Tree};

const PAGE_BYTES: usize = 4096;

/// Returns the memory that a copy takes, in bytes.
#[must_use]
pub fn size(tree: &Tree) -> u64 {
    let length = |node: &Node| match &node.kind {
        Kind::File(content) => content.len().next_multiple_of(PAGE_BYTES),
        _ => PAGE_BYTES,
    };
    tree.nodes().map(|(_, node)| length(node) as u64).sum()
}

/// Copies the files into the folder `to`. Returns whether all have their intended owners.
pub fn make(tree: &Tree, to: &Path) -> Result<bool> {
    let mut owned = true;
    // The first copy of each content, for the hard links to it.
    let mut copies = HashMap::new();
    for (path, node) in tree.nodes() {
        let place = to.join(path.strip_prefix("/")?);
        owned &= copy(node, &place, &mut copies).with_context(|| path.display().to_string())?;
    }
    Ok(owned)
}

fn copy(node: &Node, place: &Path, copies: &mut HashMap<*const u8, PathBuf>) -> Result<bool> {
    match &node.kind {
        // The root is the folder itself.
        Kind::Directory if place.is_dir() => {}
        Kind::Directory => fs::create_dir(place)?,
        Kind::Symlink(target) => symlink(target, place)?,
        Kind::Fifo => mkfifo(place, Mode::empty())?,
        // The container creates its own devices.
        Kind::BlockDevice | Kind::CharacterDevice => return Ok(true),
        Kind::File(content) => match copies.get(&content.as_ptr()) {
            Some(first) => fs::hard_link(first, place)?,
            None => {
                fs::write(place, content)?;
                if Rc::strong_count(content) > 1 {
                    copies.insert(content.as_ptr(), place.to_owned());
                }
            }
        },
    }
    let owned = give(place, node)?;
    // After the owner, because changing it clears the set-user-ID and set-group-ID bits.
    if !matches!(node.kind, Kind::Symlink(_)) {
        fs::set_permissions(place, Permissions::from_mode(node.mode))?;
    }
    Ok(owned)
}

/// Sets the owner. Returns `false` if this user namespace does not map it.
fn give(place: &Path, node: &Node) -> io::Result<bool> {
    match lchown(place, Some(node.uid), Some(node.gid)) {
        Err(error) if is_about_users(&error) => Ok(false),
        other => other.map(|()| true),
    }
}

fn is_about_users(error: &io::Error) -> bool {
    let number = error.raw_os_error();
    number == Some(Errno::EINVAL as i32) || number == Some(Errno::EPERM as i32)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_copy_keeps_kinds_modes_and_links() {
        let mut layer = tar::Builder::new(Vec::new());
        let mut add = |path: &str, kind: tar::EntryType, target: &str, mode: u32| {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_mode(mode);
            header.set_uid(0);
            header.set_gid(0);
            header.set_size(0);
            match target {
                "" => layer.append_data(&mut header, path, io::empty()).unwrap(),
                target => layer.append_link(&mut header, path, target).unwrap(),
            }
        };
        add("dir", tar::EntryType::Directory, "", 0o700);
        add("dir/file", tar::EntryType::Regular, "", 0o4750);
        add("hard", tar::EntryType::Link, "dir/file", 0);
        add("soft", tar::EntryType::Symlink, "/etc/passwd", 0o777);
        add("pipe", tar::EntryType::Fifo, "", 0o620);
        add("null", tar::EntryType::Char, "", 0o666);
        let mut tree = Tree::new();
        tree.apply(layer.into_inner().unwrap().as_slice()).unwrap();

        let folder = tempfile::TempDir::new().unwrap();
        make(&tree, folder.path()).unwrap();
        let seen = |name: &str| fs::symlink_metadata(folder.path().join(name)).unwrap();
        assert_eq!(seen("dir").mode(), 0o040_700);
        assert_eq!(seen("dir/file").mode(), 0o104_750);
        assert_eq!(seen("hard").ino(), seen("dir/file").ino());
        assert_eq!(seen("pipe").mode(), 0o010_620);
        assert_eq!(
            fs::read_link(folder.path().join("soft")).unwrap(),
            Path::new("/etc/passwd")
        );
        assert!(!folder.path().join("null").exists());
    }
}
