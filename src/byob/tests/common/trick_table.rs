//! The table of tricks in the README of the hostile UDF.

use std::fs;

use super::{SANDBOXES, program};

/// A row of the table: a trick, and its expected outcome in each of [`SANDBOXES`].
#[derive(Debug, Clone)]
pub struct Row {
    pub trick: String,
    pub expected: Vec<String>,
}

/// The outcome of a trick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Played {
    pub trick: String,
    /// In the words of the table: the name of an error or signal, `nothing`, `deadline` and so on.
    pub outcome: String,
    /// What the trick got, for people to read.
    pub detail: String,
}

/// The rows below the heading `group`.
pub fn rows(group: &str) -> Vec<Row> {
    let text = fs::read_to_string(program("ROMA_HOSTILE_TABLE")).unwrap();
    let section = text
        .split("\n## ")
        .find_map(|section| section.strip_prefix(group)?.strip_prefix('\n'));
    let section = section.unwrap_or_else(|| panic!("the table has no group {group:?}"));
    section.lines().filter_map(row).collect()
}

/// Parses `| trick | what it tries | cell | ... |`, with one cell for all sandboxes or one for each.
fn row(line: &str) -> Option<Row> {
    let line = line.strip_prefix("| `")?.strip_suffix(" |")?;
    let (trick, rest) = line.split_once("` | ")?;
    let mut cells: Vec<String> = rest.split(" | ").skip(1).map(str::to_owned).collect();
    if cells.len() == 1 {
        cells = vec![cells[0].clone(); SANDBOXES.len()];
    }
    assert_eq!(cells.len(), SANDBOXES.len(), "{line}");
    Some(Row {
        trick: trick.to_owned(),
        expected: cells,
    })
}

impl Row {
    pub fn allows(&self, sandbox: usize, outcome: &str) -> bool {
        self.expected[sandbox]
            .split(" or ")
            .any(|expected| expected == outcome)
    }

    pub fn expects_deadline(&self) -> bool {
        self.expected.iter().any(|cell| cell == "deadline")
    }
}

/// The tricks whose outcome the table does not allow, with the expected and the actual outcome.
pub fn surprises(sandbox: usize, rows: &[Row], played: &[Played]) -> Vec<String> {
    let surprise = |played: &Played| {
        let row = rows.iter().find(|row| row.trick == played.trick)?;
        let expected = &row.expected[sandbox];
        let Played { trick, outcome, .. } = played;
        (!row.allows(sandbox, outcome)).then(|| format!("`{trick}` ({expected} → {outcome})"))
    };
    played.iter().filter_map(surprise).collect()
}
