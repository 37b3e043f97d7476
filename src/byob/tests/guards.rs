//! A program: `guards` turns each guard off in turn and prints which tricks of the hostile UDF then
//! come to something else, as a table. `guards NAME...` does so for some guards. `guards tricks` plays
//! every trick as things are and prints the rows of the UDF's own table, for whoever adds one.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a tool for those who change the tests"
)]

mod common;

use std::collections::BTreeMap;

use common::SANDBOXES;
use common::tricks::{Played, play, rows};
use common::weakened::{GUARDS, GVISOR, Guard, MINIMAL, falls_without};

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
        let [minimal, gvisor] = [MINIMAL, GVISOR].map(|mode| fallen(guard, mode));
        println!("| {} | `{level}` | {minimal} | {gvisor} |", guard.is);
    }
}

fn fallen(guard: &Guard, mode: usize) -> String {
    match falls_without(guard, mode) {
        fallen if fallen.is_empty() => "none".to_owned(),
        fallen => fallen.join(", "),
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
