//! Tests of files: existence, permissions, owner and content.

use std::path::Path;

use crate::expand::expand;
use crate::layout::Image;
use crate::mode;
use crate::suite::{Class, FileContentTest, FileExistenceTest};
use crate::text;
use crate::tree::Node;

/// Returns how a file differs from the expectation.
#[must_use]
pub fn check_existence(test: &FileExistenceTest, image: &Image) -> Vec<String> {
    let path = expand(&test.path, &image.settings.variables());
    match (image.tree.node(Path::new(&path)), test.should_exist) {
        (Some(node), true) => differences(test, node),
        (Some(node), false) => vec![format!(
            "{path} must not exist, but does: {}",
            mode::text(node)
        )],
        (None, true) => vec![format!("{path} must exist, but does not")],
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

/// Returns how a file's content differs from the expectation.
#[must_use]
pub fn check_content(test: &FileContentTest, image: &Image) -> Vec<String> {
    let path = expand(&test.path, &image.settings.variables());
    let content = match image.tree.content(Path::new(&path)) {
        Ok(content) => content,
        Err(error) => return vec![format!("{path} cannot be read: {error:#}")],
    };
    let mut problems = text::check(
        &path,
        content,
        &test.expected_contents,
        &test.excluded_contents,
    );
    if !problems.is_empty() {
        problems.push(text::shown(&path, content));
    }
    problems
}
