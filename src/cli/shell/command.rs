//! The commands of the shell, parsed from lines.

use std::path::PathBuf;

use anyhow::{Context, bail, ensure};

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Nothing: an empty line, or a comment.
    Nothing,
    Load {
        /// The only rpc that it answers; all if `None`.
        rpc: Option<String>,
        udf: PathBuf,
        workers: Option<u32>,
    },
    Execute {
        call: Call,
        /// Do not wait for the response.
        background: bool,
    },
    Time {
        count: u32,
        call: Call,
    },
    Wait,
    Cancel(Option<u32>),
    Delete(Option<String>),
    List,
    Logs,
    Commands(PathBuf),
    Help,
    Exit,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// `None` for plain bytes.
    pub rpc: Option<String>,
    /// The request as the user wrote it.
    pub request: String,
    /// The file to which the response is appended.
    pub output: Option<PathBuf>,
}

/// The names of the shell's own commands.
pub const NAMES: [&str; 14] = [
    "call", "cancel", "commands", "delete", "execute", "exit", "help", "list", "load", "logs",
    "quit", "time", "wait", "?",
];

/// Parses the words of a line. `rpcs` are the names by which rpcs can be called.
pub fn parse(words: &[String], rpcs: &[String]) -> anyhow::Result<Command> {
    let Some((name, rest)) = words.split_first() else {
        return Ok(Command::Nothing);
    };
    let command = match name.as_str() {
        "load" | "l" => load(rest, rpcs)?,
        "commands" => Command::Commands(one(name, rest, "FILE")?.into()),
        "time" => time(rest, rpcs)?,
        "cancel" => Command::Cancel(at_most_one(name, rest, "NUMBER")?.map(number).transpose()?),
        "delete" => Command::Delete(at_most_one(name, rest, "CODE")?.cloned()),
        "wait" => none(name, rest, Command::Wait)?,
        "list" => none(name, rest, Command::List)?,
        "logs" => none(name, rest, Command::Logs)?,
        "exit" | "quit" => none(name, rest, Command::Exit)?,
        "help" | "h" | "?" => Command::Help,
        _ => execute(words, rpcs)?,
    };
    Ok(command)
}

fn none(name: &str, rest: &[String], command: Command) -> anyhow::Result<Command> {
    ensure!(rest.is_empty(), "usage: {name}");
    Ok(command)
}

fn one<'a>(name: &str, rest: &'a [String], what: &str) -> anyhow::Result<&'a String> {
    match rest {
        [word] => Ok(word),
        _ => bail!("usage: {name} {what}"),
    }
}

fn at_most_one<'a>(
    name: &str,
    rest: &'a [String],
    what: &str,
) -> anyhow::Result<Option<&'a String>> {
    match rest {
        [] => Ok(None),
        [word] => Ok(Some(word)),
        _ => bail!("usage: {name} [{what}]"),
    }
}

fn number(word: &String) -> anyhow::Result<u32> {
    word.parse()
        .with_context(|| format!("{word} is not a number"))
}

fn load(rest: &[String], rpcs: &[String]) -> anyhow::Result<Command> {
    let is_rpc = |word: &String| rpcs.contains(word);
    let (rpc, udf, workers) = match rest {
        [udf] => (None, udf, None),
        [rpc, udf] if is_rpc(rpc) => (Some(rpc), udf, None),
        [udf, workers] if workers.parse::<u32>().is_ok() => (None, udf, Some(workers)),
        [rpc, udf, workers] if is_rpc(rpc) => (Some(rpc), udf, Some(workers)),
        [rpc, _] | [rpc, _, _] => bail!("{rpc} is not an rpc; usage: load [RPC] UDF [WORKERS]"),
        _ => bail!("usage: load [RPC] UDF [WORKERS]"),
    };
    Ok(Command::Load {
        rpc: rpc.cloned(),
        udf: udf.into(),
        workers: workers.map(number).transpose()?,
    })
}

fn execute(words: &[String], rpcs: &[String]) -> anyhow::Result<Command> {
    let (words, background) = match words.split_last() {
        Some((last, words)) if last == "&" => (words, true),
        _ => (words, false),
    };
    let call = call(words, rpcs)?;
    Ok(Command::Execute { call, background })
}

fn time(rest: &[String], rpcs: &[String]) -> anyhow::Result<Command> {
    let Some((count, words)) = rest.split_first().filter(|(_, words)| !words.is_empty()) else {
        bail!("usage: time COUNT RPC REQUEST");
    };
    let (count, call) = (number(count)?, call(words, rpcs)?);
    ensure!(count > 0, "usage: time COUNT RPC REQUEST");
    Ok(Command::Time { count, call })
}

fn call(words: &[String], rpcs: &[String]) -> anyhow::Result<Call> {
    let (rpc, name, rest) = match words {
        [name, rest @ ..] if name == "execute" => (None, name, rest),
        [call, name, rest @ ..] if call == "call" && rpcs.contains(name) => {
            (Some(name), name, rest)
        }
        [name, rest @ ..] if rpcs.contains(name) => (Some(name), name, rest),
        [name, ..] => bail!("there is no command {name}; try help"),
        [] => bail!("there is nothing to do"),
    };
    let (request, output) = match rest {
        [request] => (request, None),
        [request, output] => (request, Some(output.into())),
        _ => bail!("usage: {name} REQUEST [FILE FOR THE RESPONSE] [&]"),
    };
    Ok(Call {
        rpc: rpc.cloned(),
        request: request.clone(),
        output,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::words::cut;

    fn parsed(line: &str) -> anyhow::Result<Command> {
        let rpcs = ["Run", "run", "load", "GetAll", "get_all"].map(str::to_owned);
        parse(&cut(line).unwrap(), &rpcs)
    }

    fn call(rpc: Option<&str>, request: &str, output: Option<&str>) -> Call {
        Call {
            rpc: rpc.map(str::to_owned),
            request: request.to_owned(),
            output: output.map(PathBuf::from),
        }
    }

    #[test]
    fn an_empty_line_and_a_comment_do_nothing() {
        for line in ["", "  ", "# load a", "#"] {
            assert_eq!(parsed(line).unwrap(), Command::Nothing, "{line}");
        }
    }

    #[test]
    fn a_udf_is_loaded_for_all_rpcs_or_for_one() {
        let load = |rpc: Option<&str>, workers| Command::Load {
            rpc: rpc.map(str::to_owned),
            udf: "a.bin".into(),
            workers,
        };
        assert_eq!(parsed("load a.bin").unwrap(), load(None, None));
        assert_eq!(parsed("load a.bin 8").unwrap(), load(None, Some(8)));
        assert_eq!(
            parsed("l get_all a.bin").unwrap(),
            load(Some("get_all"), None)
        );
        assert_eq!(
            parsed("load Run a.bin 8").unwrap(),
            load(Some("Run"), Some(8))
        );
        for line in [
            "load",
            "load walk a.bin",
            "load run a b c",
            "load Run a.bin many",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }

    #[test]
    fn an_rpc_is_a_command() {
        let execute = |call, background| Command::Execute { call, background };
        let expected = execute(call(Some("run"), "{}", None), false);
        assert_eq!(parsed("run {}").unwrap(), expected);
        let expected = execute(call(Some("GetAll"), "in.json", Some("out.json")), true);
        assert_eq!(parsed("GetAll in.json out.json &").unwrap(), expected);
        // An rpc with the name of a command.
        let expected = execute(call(Some("load"), "{}", None), false);
        assert_eq!(parsed("call load {}").unwrap(), expected);
        let expected = execute(call(None, "hello", None), false);
        assert_eq!(parsed("execute hello").unwrap(), expected);
        for line in [
            "run",
            "run a b c",
            "walk {}",
            "call walk {}",
            "&",
            "execute",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_call_can_be_timed() {
        let expected = Command::Time {
            count: 10,
            call: call(Some("run"), "{}", None),
        };
        assert_eq!(parsed("time 10 run {}").unwrap(), expected);
        for line in [
            "time",
            "time 10",
            "time run {}",
            "time 0 run {}",
            "time 1 list",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }

    #[test]
    fn surplus_words_are_refused() {
        assert_eq!(parsed("cancel 3").unwrap(), Command::Cancel(Some(3)));
        assert_eq!(parsed("cancel").unwrap(), Command::Cancel(None));
        for line in [
            "cancel x",
            "cancel 1 2",
            "exit now",
            "list all",
            "commands",
            "commands a b",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}
