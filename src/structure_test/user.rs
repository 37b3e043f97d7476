//! The user that an image's programs run as.

use std::path::Path;

use anyhow::{Context, Result};

use crate::tree::Tree;

const USERS: &str = "/etc/passwd";
const GROUPS: &str = "/etc/group";
/// The field of the uid or gid, in both files.
const NUMBER: usize = 2;
const USERS_GROUP: usize = 3;
const USERS_HOME: usize = 5;

/// A user of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The uid.
    pub uid: u32,
    /// The gid.
    pub gid: u32,
    /// The home directory.
    pub home: String,
}

/// Finds the user that `text` names: `user` or `user:group`, each a name or a number. An empty text
/// means root.
pub fn find(text: &str, tree: &Tree) -> Result<User> {
    let (name, group) = text.split_once(':').unwrap_or((text, ""));
    let name = if name.is_empty() { "0" } else { name };
    let users = lines(USERS, tree);
    let entry = find_line(&users, name);
    let field = |field: usize| entry.and_then(|line| line.split(':').nth(field));
    let uid = field(NUMBER).unwrap_or(name).parse();
    let uid = uid.with_context(|| format!("the image has no user {name}"))?;
    let gid = match group {
        "" => field(USERS_GROUP)
            .and_then(|gid| gid.parse().ok())
            .unwrap_or(0),
        group => find_group(group, tree)?,
    };
    let home = field(USERS_HOME)
        .filter(|home| !home.is_empty())
        .unwrap_or("/");
    Ok(User {
        uid,
        gid,
        home: home.to_owned(),
    })
}

fn find_group(name: &str, tree: &Tree) -> Result<u32> {
    let groups = lines(GROUPS, tree);
    let number = find_line(&groups, name).and_then(|line| line.split(':').nth(NUMBER));
    let number = number.unwrap_or(name).parse();
    number.with_context(|| format!("the image has no group {name}"))
}

/// Returns the line of a name or, if there is none, of a number.
fn find_line<'a>(lines: &'a [String], name: &str) -> Option<&'a String> {
    let with = |field| {
        lines
            .iter()
            .find(move |line| line.split(':').nth(field) == Some(name))
    };
    with(0).or_else(|| with(NUMBER))
}

fn lines(file: &str, tree: &Tree) -> Vec<String> {
    let content = tree.content(Path::new(file)).unwrap_or_default();
    String::from_utf8_lossy(content)
        .lines()
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Tree {
        Tree::of(&[
            (
                "etc/passwd",
                "root:x:0:0:root:/root:/bin/sh\napp:x:65532:100::/home/app:\n",
            ),
            ("etc/group", "root:x:0:\nstaff:x:50:\n"),
        ])
    }

    #[test]
    fn names_and_numbers_resolve_as_in_container_engines() {
        for (text, uid, gid, home) in [
            ("", 0, 0, "/root"),
            ("app", 65532, 100, "/home/app"),
            ("65532", 65532, 100, "/home/app"),
            ("65532:65532", 65532, 65532, "/home/app"),
            ("app:staff", 65532, 50, "/home/app"),
            ("7", 7, 0, "/"),
            ("7:8", 7, 8, "/"),
        ] {
            let user = User {
                uid,
                gid,
                home: home.to_owned(),
            };
            assert_eq!(find(text, &tree()).unwrap(), user, "{text}");
        }
    }

    #[test]
    fn an_unknown_user_is_an_error() {
        for text in ["nobody", "app:wheel", "-1"] {
            assert!(find(text, &tree()).is_err(), "{text}");
        }
    }
}
