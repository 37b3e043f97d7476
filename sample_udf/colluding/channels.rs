//! The channels that a process has opened, and the commands of the host for them.

use std::fmt::Write;
use std::thread::sleep;
use std::time::Duration;

use crate::child::Child;
use crate::sys::{Fate, Hear, Tell, Trick};
use crate::{budgets, counters, descriptors, files, groups};

/// The ends of channels that this process has.
#[derive(Default)]
pub(crate) struct Channels {
    tell: Vec<Fate<Tell>>,
    hear: Vec<Fate<Hear>>,
    child: Option<Child>,
}

impl Channels {
    /// Follows a command. The result has a number for each trick or bit in it.
    pub(crate) fn obey(&mut self, command: &str) -> String {
        let (verb, rest) = command.split_once(' ').unwrap_or((command, ""));
        match verb {
            "names" => tricks().map(|(name, ..)| format!("{name} ")).collect(),
            // Opens the channels of these names.
            "tell" => {
                self.tell = named(rest).map(|(_, tell, _)| tell()).collect();
                numbers(self.tell.iter().map(errno))
            }
            "hear" => {
                self.hear = named(rest).map(|(.., hear)| hear()).collect();
                numbers(self.hear.iter().map(errno))
            }
            // Puts one bit into each channel.
            "put" => numbers(self.tell.iter_mut().zip(rest.bytes()).map(put)),
            "look" => self.look(),
            "child" => self.child(rest),
            _ => String::new(),
        }
    }

    fn look(&mut self) -> String {
        // Some channels are heard by threads, which need a moment.
        sleep(Duration::from_millis(1));
        numbers(self.hear.iter_mut().map(|hear| match hear {
            Ok(hear) => hear().unwrap_or_else(error_seen),
            Err(errno) => error_seen(*errno),
        }))
    }

    /// Lets a process below this one follow a command.
    fn child(&mut self, command: &str) -> String {
        if self.child.is_none() {
            self.child = Child::start();
        }
        let child = self.child.as_ref();
        child.map_or_else(String::new, |child| child.ask(command))
    }
}

fn tricks() -> impl Iterator<Item = &'static Trick> {
    let lists = [
        files::TRICKS,
        descriptors::TRICKS,
        counters::TRICKS,
        budgets::TRICKS,
        groups::TRICKS,
    ];
    lists.into_iter().flatten()
}

fn named(names: &str) -> impl Iterator<Item = &'static Trick> {
    let trick = |wanted| tricks().find(|(name, ..)| *name == wanted);
    names.split(' ').filter_map(trick)
}

fn put((tell, bit): (&mut Fate<Tell>, u8)) -> i64 {
    match tell {
        Ok(tell) => tell(bit == b'1').err().unwrap_or(0).into(),
        Err(errno) => i64::from(*errno),
    }
}

fn errno<T>(fate: &Fate<T>) -> i64 {
    fate.as_ref().err().copied().unwrap_or(0).into()
}

/// An error is also something that a channel shows: no other value is so low.
fn error_seen(errno: i32) -> i64 {
    i64::MIN / 2 + i64::from(errno)
}

fn numbers(numbers: impl Iterator<Item = i64>) -> String {
    numbers.fold(String::new(), |mut text, number| {
        let _ = write!(text, "{number} ");
        text
    })
}
