//! Tests of files: whether they are there, how, what is in them, and under which licence.

use crate::expand::expand;
use crate::layout::Image;
use crate::mode;
use crate::pattern::Pattern;
use crate::suite::{Class, FileContentTest, FileExistenceTest, LicenseTest};
use crate::tree::{Kind, Node, Tree};
use std::path::Path;

/// Where Debian packages have their licences.
const DEBIAN: &str = "/usr/share/doc";
const DEBIAN_FILE: &str = "copyright";
/// Names this licence without being under it.
const DEBIAN_EXCEPTION: &str = "libgnutls30";
const UNWANTED_LICENCES: [&str; 2] = ["AGPL", "WTFPL"];
/// Of a file or an output, so much is shown.
const SHOWN_BYTES: usize = 2000;

/// What is wrong with a file's being there.
#[must_use]
pub fn check_existence(test: &FileExistenceTest, image: &Image) -> Vec<String> {
    let path = expand(&test.path, &image.settings.variables());
    match (image.tree.node(Path::new(&path)), test.should_exist) {
        (Some(node), true) => differences(test, node),
        (Some(node), false) => vec![format!(
            "{path} must not be there, and is: {}",
            mode::text(node)
        )],
        (None, true) => vec![format!("{path} must be there, and is not")],
        (None, false) => Vec::new(),
    }
}

fn differences(test: &FileExistenceTest, node: &Node) -> Vec<String> {
    let mut problems = Vec::new();
    let mut compare = |what: &str, expected: String, is: String| {
        if expected != is {
            problems.push(format!("{what}: expected {expected}, is {is}"));
        }
    };
    let permissions = mode::text(node);
    if !test.permissions.is_empty() {
        compare("permissions", test.permissions.clone(), permissions.clone());
    }
    if let Some(uid) = test.uid {
        compare("uid", uid.to_string(), node.uid.to_string());
    }
    if let Some(gid) = test.gid {
        compare("gid", gid.to_string(), node.gid.to_string());
    }
    if let Some(class) = test
        .is_executable_by
        .filter(|class| node.mode & execute_bits(*class) == 0)
    {
        problems.push(format!("not executable by {class:?}: {permissions}").to_lowercase());
    }
    problems
}

fn execute_bits(class: Class) -> u32 {
    match class {
        Class::Owner => 0o100,
        Class::Group => 0o010,
        Class::Other => 0o001,
        Class::Any => 0o111,
    }
}

/// What is wrong with a file's content.
#[must_use]
pub fn check_content(test: &FileContentTest, image: &Image) -> Vec<String> {
    let path = expand(&test.path, &image.settings.variables());
    match image.tree.content(Path::new(&path)) {
        Ok(content) => check_text(
            &path,
            content,
            &test.expected_contents,
            &test.excluded_contents,
        ),
        Err(error) => vec![format!("{path} cannot be read: {error:#}")],
    }
}

/// What is wrong with some bytes, called `what`.
#[must_use]
pub fn check_text(
    what: &str,
    bytes: &[u8],
    expected: &[Pattern],
    excluded: &[Pattern],
) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let missing = expected.iter().filter(|pattern| !pattern.matches(&text));
    let unwanted = excluded.iter().filter(|pattern| pattern.matches(&text));
    let mut problems: Vec<String> = missing
        .map(|pattern| format!("{what}: nothing matches the expected `{pattern}`"))
        .chain(
            unwanted.map(|pattern| format!("{what}: something matches the excluded `{pattern}`")),
        )
        .collect();
    if !problems.is_empty() {
        problems.push(format!("{what}: {}", shown(bytes)));
    }
    problems
}

/// The beginning of some bytes, in a form that has one line.
#[must_use]
pub fn shown(bytes: &[u8]) -> String {
    let (start, rest) = bytes.split_at(bytes.len().min(SHOWN_BYTES));
    let start = String::from_utf8_lossy(start);
    if rest.is_empty() {
        format!("{start:?}")
    } else {
        format!("{start:?} and {} bytes more", rest.len())
    }
}

/// Which licences must not be there.
#[must_use]
pub fn check_licences(test: &LicenseTest, tree: &Tree) -> Vec<String> {
    if test.debian && tree.node(Path::new(DEBIAN)).is_none() {
        return vec![format!("{DEBIAN} must be there, and is not")];
    }
    let packages = if test.debian {
        debian_licences(tree)
    } else {
        Vec::new()
    };
    let files = packages.iter().chain(&test.files);
    files.flat_map(|file| check_licence(file, tree)).collect()
}

fn debian_licences(tree: &Tree) -> Vec<String> {
    let parent = Path::new(DEBIAN);
    tree.nodes()
        .filter(|(path, node)| {
            path.parent() == Some(parent) && matches!(node.kind, Kind::Directory)
        })
        .filter(|(path, _)| !path.ends_with(DEBIAN_EXCEPTION))
        .map(|(path, _)| path.join(DEBIAN_FILE).to_string_lossy().into_owned())
        .collect()
}

fn check_licence(file: &str, tree: &Tree) -> Vec<String> {
    let text = match tree.content(Path::new(file)) {
        Ok(content) => String::from_utf8_lossy(content).to_uppercase(),
        Err(error) => return vec![format!("{file} cannot be read: {error:#}")],
    };
    let found = UNWANTED_LICENCES
        .iter()
        .filter(|name| text.contains(**name));
    found
        .map(|name| format!("{file} names the licence {name}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> Tree {
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
        let mut tree = Tree::new();
        tree.apply(layer.into_inner().unwrap().as_slice()).unwrap();
        tree
    }

    fn debian(files: &[(&str, &str)]) -> Vec<String> {
        check_licences(
            &LicenseTest {
                debian: true,
                files: Vec::new(),
            },
            &tree(files),
        )
    }

    #[test]
    fn each_debian_package_needs_a_licence_that_may_be_used() {
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
        assert_eq!(debian(&[]), ["/usr/share/doc must be there, and is not"]);
    }

    #[test]
    fn what_is_long_is_cut() {
        let long = shown(&[b'x'; SHOWN_BYTES + 3]);
        assert!(long.ends_with("x\" and 3 bytes more"), "{long}");
    }
}
