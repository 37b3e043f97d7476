//! Tests of licences, by words in their texts.

use std::path::Path;

use crate::suite::LicenseTest;
use crate::tree::{Kind, Tree};

/// The folder with the licences of Debian's packages.
const DEBIAN: &str = "/usr/share/doc";
const DEBIAN_FILE: &str = "copyright";
/// A package whose file names an unwanted licence although it is not under it.
const DEBIAN_EXCEPTION: &str = "libgnutls30";
const UNWANTED: [&str; 2] = ["AGPL", "WTFPL"];

/// Returns the licences that are missing or unwanted.
#[must_use]
pub fn check(test: &LicenseTest, tree: &Tree) -> Vec<String> {
    if test.debian && tree.node(Path::new(DEBIAN)).is_none() {
        return vec![format!("{DEBIAN} must exist, but does not")];
    }
    let packages = if test.debian {
        debian_files(tree)
    } else {
        Vec::new()
    };
    let files = packages.iter().chain(&test.files);
    files.flat_map(|file| check_file(file, tree)).collect()
}

fn debian_files(tree: &Tree) -> Vec<String> {
    let parent = Path::new(DEBIAN);
    tree.nodes()
        .filter(|(path, node)| {
            path.parent() == Some(parent) && matches!(node.kind, Kind::Directory)
        })
        .filter(|(path, _)| !path.ends_with(DEBIAN_EXCEPTION))
        .map(|(path, _)| path.join(DEBIAN_FILE).to_string_lossy().into_owned())
        .collect()
}

fn check_file(file: &str, tree: &Tree) -> Vec<String> {
    let text = match tree.content(Path::new(file)) {
        Ok(content) => String::from_utf8_lossy(content).to_uppercase(),
        Err(error) => return vec![format!("{file} cannot be read: {error:#}")],
    };
    let found = UNWANTED.iter().filter(|name| text.contains(**name));
    found
        .map(|name| format!("{file} names the licence {name}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn debian(files: &[(&str, &str)]) -> Vec<String> {
        check(
            &LicenseTest {
                debian: true,
                files: Vec::new(),
            },
            &Tree::of(files),
        )
    }

    #[test]
    fn a_debian_package_without_a_licence_or_with_an_unwanted_one_fails() {
        assert!(
            debian(&[
                ("usr/share/doc/a/copyright", "Apache"),
                ("usr/share/doc/x", "AGPL")
            ])
            .is_empty()
        );
        assert!(debian(&[("usr/share/doc/libgnutls30/copyright", "not the AGPL")]).is_empty());
        let unwanted = debian(&[
            ("usr/share/doc/a/copyright", "the wtfpl"),
            ("usr/share/doc/b/copyright", "MIT"),
        ]);
        assert_eq!(
            unwanted,
            ["/usr/share/doc/a/copyright names the licence WTFPL"]
        );
        let missing = debian(&[("usr/share/doc/a/changelog", "")]);
        assert_eq!(
            missing,
            ["/usr/share/doc/a/copyright cannot be read: there is no such file"]
        );
        assert_eq!(debian(&[]), ["/usr/share/doc must exist, but does not"]);
    }
}
