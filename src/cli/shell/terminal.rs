//! Commands from a person: editing, history and completion.

use std::fs;
use std::path::PathBuf;

use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Config, Context, Editor, Helper};

use super::command::NAMES;
use super::script::{Chain, Next, is_whole, run_line};
use super::session::Session;
use crate::error::Explain;

const PROMPT: &str = "roma> ";

/// Executes commands until the input ends. Errors are shown and do not end the session.
pub async fn run(session: &mut Session) -> anyhow::Result<()> {
    let config = Config::builder()
        .completion_type(CompletionType::List)
        .history_ignore_space(true)
        .build();
    let mut editor: Editor<Line, FileHistory> = Editor::with_config(config)?;
    editor.set_helper(Some(Line::new(session.rpcs())));
    let history = history_file();
    if let Some(file) = &history {
        // It does not exist before the first session.
        let _ = editor.load_history(file);
    }
    loop {
        match tokio::task::block_in_place(|| editor.readline(PROMPT)) {
            Ok(line) => {
                let _ = editor.add_history_entry(&line);
                session.forget_interrupts()?;
                if run_shown(session, &line).await == Next::Exit {
                    break;
                }
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error.into()),
        }
    }
    if let Some(file) = &history {
        // If this fails, only the history of this session is lost.
        let _ = editor.save_history(file);
    }
    Ok(())
}

async fn run_shown(session: &mut Session, line: &str) -> Next {
    match run_line(session, line, &mut Chain::new()).await {
        Ok(next) => next,
        Err(error) => {
            eprintln!("error: {}", error.explained());
            Next::Continue
        }
    }
}

/// Returns the path of the history, which is private to this user.
fn history_file() -> Option<PathBuf> {
    let set = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let base = set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")));
    let folder = base?.join("roma");
    fs::create_dir_all(&folder).ok()?;
    Some(folder.join("shell_history"))
}

/// Completion and validation for the editor.
struct Line {
    names: Vec<String>,
    rpcs: Vec<String>,
    files: FilenameCompleter,
}

impl Line {
    fn new(rpcs: Vec<String>) -> Self {
        let mut names: Vec<String> = NAMES.iter().map(|name| (*name).to_owned()).collect();
        names.extend(rpcs.iter().cloned());
        names.sort_unstable();
        Self {
            names,
            rpcs,
            files: FilenameCompleter::new(),
        }
    }

    /// Returns the words that may follow `before`.
    fn words(&self, before: &str) -> &[String] {
        match before.split_whitespace().collect::<Vec<_>>()[..] {
            [] => &self.names,
            ["load" | "l" | "call"] | ["time", _] => &self.rpcs,
            _ => &[],
        }
    }
}

impl Completer for Line {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        position: usize,
        context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let typed = &line[..position];
        let start = typed
            .rfind(char::is_whitespace)
            .map_or(0, |space| space + 1);
        let (before, begun) = typed.split_at(start);
        let words = self
            .words(before)
            .iter()
            .filter(|word| word.starts_with(begun));
        let mut found: Vec<_> = words
            .map(|word| Pair {
                display: word.clone(),
                replacement: format!("{word} "),
            })
            .collect();
        if before.trim().is_empty() {
            return Ok((start, found));
        }
        let (from, files) = self.files.complete(line, position, context)?;
        if found.is_empty() {
            return Ok((from, files));
        }
        // Both begin at the same place, unless the name of a file has spaces.
        found.extend(files.into_iter().filter(|_| from == start));
        Ok((start, found))
    }
}

impl Validator for Line {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(match is_whole(context.input()) {
            true => ValidationResult::Valid(None),
            false => ValidationResult::Incomplete,
        })
    }
}

impl Hinter for Line {
    type Hint = String;
}

impl Highlighter for Line {}

impl Helper for Line {}

#[cfg(test)]
mod tests {
    use rustyline::history::DefaultHistory;

    use super::*;

    fn completed(line: &str) -> Vec<String> {
        let rpcs = ["GetAll", "get_all"].map(str::to_owned).to_vec();
        let history = DefaultHistory::new();
        let context = Context::new(&history);
        let found = Line::new(rpcs).complete(line, line.len(), &context);
        let names = found.unwrap().1.into_iter().map(|pair| pair.display);
        names.collect()
    }

    #[test]
    fn commands_and_rpcs_are_completed() {
        assert_eq!(completed("l"), ["list", "load", "logs"]);
        assert_eq!(completed("get"), ["get_all"]);
        assert_eq!(completed("load get"), ["get_all"]);
        assert_eq!(completed("time 10 G"), ["GetAll"]);
        assert_eq!(completed("").len(), NAMES.len() + 2);
    }

    #[test]
    fn files_are_completed() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a_udf"), "").unwrap();
        let line = |command: &str| format!("{command} {}/a", folder.path().display());
        assert_eq!(completed(&line("load")), ["a_udf"]);
        assert_eq!(completed(&line("commands")), ["a_udf"]);
        assert_eq!(completed(&line("get_all")), ["a_udf"]);
    }
}
