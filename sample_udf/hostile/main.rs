//! A UDF that tries to break its sandbox: one trick for each request.
//!
//! A request is the trick's name, a token and the trick's parameters, separated by spaces. The process,
//! its threads and its descendants have the token as their name, so that a test can find what was left
//! behind. The answer is an [`answer::Answer`]. README.md lists the tricks and how each must fail.

mod answer;
mod file_system;
mod kernel;
mod meetings;
mod network;
mod own_files;
mod privileges;
mod processes;
mod resources;
mod starving;

use std::process::ExitCode;

use roma_udf::{Connection, Error};

use crate::answer::Answer;

/// A trick. Its arguments are the token and the rest of the request.
type Trick = fn(&str, &str) -> Answer;

const TRICKS: [&[(&str, Trick)]; 8] = [
    file_system::TRICKS,
    own_files::TRICKS,
    processes::TRICKS,
    privileges::TRICKS,
    network::TRICKS,
    resources::TRICKS,
    meetings::TRICKS,
    starving::TRICKS,
];

fn main() -> ExitCode {
    roma_udf::run(serve)
}

fn serve(mut connection: Connection) -> Result<(), Error> {
    connection.ready()?;
    let request = connection.read_request_bytes()?;
    let request = String::from_utf8_lossy(&request);
    let mut words = request.splitn(3, ' ');
    let mut next = || words.next().unwrap_or_default();
    let (name, token, rest) = (next(), next(), next());
    processes::carry_name(token);
    let answer = play(name, token, rest).to_string();
    connection.write_response_bytes(answer.as_bytes())?;
    if let Some(left) = name.strip_prefix("leave_") {
        meetings::linger(left);
    }
    Ok(())
}

fn play(name: &str, token: &str, rest: &str) -> Answer {
    let known = || TRICKS.iter().copied().flatten();
    match known().find(|(known, _)| *known == name) {
        Some((_, trick)) => trick(token, rest),
        None if name == "list" => {
            Answer::Done(known().map(|(name, _)| format!("{name} ")).collect())
        }
        None => Answer::Done(format!("unknown trick {name}")),
    }
}
