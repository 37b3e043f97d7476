//! A program, not a suite. `guards` turns off one guard after the other and prints, as a table, which
//! tricks of the hostile UDF then have another outcome. `guards NAME...` does so for some guards.
//! `guards tricks` plays every trick with all guards and prints rows for the table of the hostile UDF.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a tool for those who change the tests"
)]

mod common;

use std::collections::BTreeMap;

use common::SANDBOXES;
use common::trick_table::{Played, rows};
use common::tricks::play;
use common::weakened::{GUARDS, GVISOR, Guard, MINIMAL, surprises_without};

const GROUPS: [&str; 7] = [
    "File system",
    "Own files",
    "Processes",
    "Privileges",
    "Network",
    "Resources",
    "Meetings",
];

fn main() {
    let chosen: Vec<String> = std::env::args().skip(1).collect();
    match chosen.first().map(String::as_str) {
        Some("tricks") => GROUPS.into_iter().for_each(print_tricks),
        _ => print_guards(&chosen),
    }
}

fn print_guards(chosen: &[String]) {
    println!("| without | at | these come to something else in minimal mode | in gVisor |");
    println!("|---|---|---|---|");
    let wanted = |name: &str| chosen.is_empty() || chosen.iter().any(|it| it == name);
    for guard in GUARDS.iter().filter(|guard| wanted(guard.name)) {
        let level = SANDBOXES[guard.level].1;
        let [minimal, gvisor] = [MINIMAL, GVISOR].map(|mode| surprises(guard, mode));
        println!(
            "| {} | `{level}` | {minimal} | {gvisor} |",
            guard.description
        );
    }
}

fn surprises(guard: &Guard, mode: usize) -> String {
    match surprises_without(guard, mode) {
        surprises if surprises.is_empty() => "none".to_owned(),
        surprises => surprises.join(", "),
    }
}

fn print_tricks(group: &str) {
    println!("## {group}");
    let rows = rows(group);
    let mut cells: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for sandbox in 0..SANDBOXES.len() {
        let rows = rows.clone();
        let (send, receive) = std::sync::mpsc::channel();
        common::run(sandbox, async move |bed| {
            send.send(play(&bed, group, &rows).await).unwrap();
        });
        for Played { trick, outcome, .. } in receive.recv().unwrap() {
            cells.entry(trick).or_default().push(outcome);
        }
    }
    for row in rows {
        println!("| `{}` | {} |", row.trick, cells[&row.trick].join(" | "));
    }
}
