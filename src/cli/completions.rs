//! `roma completions`: what a command line shell needs to complete this tool's options.

use std::io::Write;

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

/// The shell to complete for.
#[derive(Debug, Args)]
#[command(after_help = "For bash: source <(roma completions bash)")]
pub struct CompletionsArgs {
    shell: Shell,
}

/// Writes the completion script for a shell.
pub fn run<Tool: CommandFactory>(arguments: &CompletionsArgs, to: &mut impl Write) {
    generate(arguments.shell, &mut Tool::command(), "roma", to);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Arguments;

    #[test]
    fn every_shell_gets_every_command() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::Elvish] {
            let mut script = Vec::new();
            run::<Arguments>(&CompletionsArgs { shell }, &mut script);
            let script = String::from_utf8(script).unwrap();
            for name in ["doctor", "verify", "udf-log-file"] {
                assert!(script.contains(name), "{shell} lacks {name}");
            }
        }
    }
}
