//! No outer sandbox of ours: `run_workers` isolates itself.

use std::process::Command;

use super::OuterConfig;

pub(super) fn command(config: &OuterConfig) -> Command {
    let mut command = Command::new(&config.run_workers);
    command.arg("--isolate").current_dir("/");
    command
}
