//! Permissions as text. Test files have them in the form that Go prints.

use crate::tree::{Kind, Node};

const SET_USER: u32 = 0o4000;
const SET_GROUP: u32 = 0o2000;
const STICKY: u32 = 0o1000;

/// Formats a mode as Go's `FileMode` does: letters for the kind and special bits, or a dash, then
/// nine letters.
#[must_use]
pub fn text(node: &Node) -> String {
    let mut text = special(node);
    if text.is_empty() {
        text.push('-');
    }
    for (bit, letter) in (0..9).rev().zip("rwxrwxrwx".chars()) {
        text.push(if node.mode & (1 << bit) == 0 {
            '-'
        } else {
            letter
        });
    }
    text
}

fn special(node: &Node) -> String {
    let is = |bit| node.mode & bit != 0;
    let letters = [
        ('d', matches!(node.kind, Kind::Directory)),
        ('L', matches!(node.kind, Kind::Symlink(_))),
        (
            'D',
            matches!(node.kind, Kind::BlockDevice | Kind::CharacterDevice),
        ),
        ('p', matches!(node.kind, Kind::Fifo)),
        ('u', is(SET_USER)),
        ('g', is(SET_GROUP)),
        ('c', matches!(node.kind, Kind::CharacterDevice)),
        ('t', is(STICKY)),
    ];
    letters
        .into_iter()
        .filter(|(_, holds)| *holds)
        .map(|(letter, _)| letter)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    fn printed(kind: Kind, mode: u32) -> String {
        text(&Node {
            kind,
            mode,
            uid: 0,
            gid: 0,
        })
    }

    #[test]
    fn permissions_are_printed_as_by_go() {
        let file = || Kind::File(Rc::from([]));
        assert_eq!(printed(file(), 0o500), "-r-x------");
        assert_eq!(printed(file(), 0o644), "-rw-r--r--");
        assert_eq!(printed(file(), 0), "----------");
        assert_eq!(printed(Kind::Directory, 0o755), "drwxr-xr-x");
        assert_eq!(printed(Kind::Symlink("/".into()), 0o777), "Lrwxrwxrwx");
        assert_eq!(printed(Kind::Fifo, 0o600), "prw-------");
    }

    #[test]
    fn letters_of_special_bits_replace_the_dash() {
        let file = || Kind::File(Rc::from([]));
        assert_eq!(printed(file(), 0o4755), "urwxr-xr-x");
        assert_eq!(printed(file(), 0o2755), "grwxr-xr-x");
        assert_eq!(printed(file(), 0o6711), "ugrwx--x--x");
        assert_eq!(printed(Kind::Directory, 0o1777), "dtrwxrwxrwx");
        assert_eq!(printed(Kind::BlockDevice, 0o660), "Drw-rw----");
        assert_eq!(printed(Kind::CharacterDevice, 0o666), "Dcrw-rw-rw-");
    }
}
