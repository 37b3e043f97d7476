//! `guards tricks`: plays every trick in every sandbox and prints the rows of the hostile UDF's table
//! as they are measured, for whoever adds a trick.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a tool for those who change the tests"
)]

mod common;

use std::collections::BTreeMap;

use common::SANDBOXES;
use common::tricks::{Played, play, rows};

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
    let chosen_group = |group: &&str| chosen.is_empty() || chosen.iter().any(|it| it == group);
    for group in GROUPS.into_iter().filter(chosen_group) {
        println!("## {group}");
        let rows = rows(group);
        let mut cells: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for sandbox in 0..SANDBOXES.len() {
            let rows = rows.clone();
            let (send, receive) = std::sync::mpsc::channel();
            common::run(sandbox, async move |bed| {
                send.send(play(&bed, group, &rows).await).unwrap();
            });
            for Played {
                trick,
                outcome,
                detail,
            } in receive.recv().unwrap()
            {
                eprintln!("{group} {sandbox} {trick}: {outcome} {detail}");
                cells.entry(trick).or_default().push(outcome);
            }
        }
        for row in rows {
            println!("| `{}` | {} |", row.trick, cells[&row.trick].join(" | "));
        }
    }
}
