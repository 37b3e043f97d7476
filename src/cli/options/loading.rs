//! How UDFs are loaded: the options that commands share.

use anyhow::Context;
use clap::Args;
use roma_byob::LoadOptions;

/// What UDFs get in addition to the defaults.
#[derive(Debug, Clone, Default, Args)]
pub struct LoadArgs {
    /// An argument for the UDF, after the two that every UDF gets. May be repeated.
    #[arg(long = "arg", value_name = "TEXT", allow_hyphen_values = true)]
    args: Vec<String>,
    /// A variable of its environment, which is otherwise empty. May be repeated.
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Size of a private /tmp for each execution. Without it, UDFs cannot write files.
    #[arg(long, value_name = "BYTES")]
    private_tmp: Option<u64>,
    /// Mount a /proc that shows only the UDF's own processes.
    #[arg(long)]
    proc: bool,
}

impl LoadArgs {
    /// Returns load options with these values that keep the output of UDFs.
    pub fn options(&self, workers: u32) -> anyhow::Result<LoadOptions> {
        let env = self.env.iter().map(|text| {
            let (name, value) = text
                .split_once('=')
                .with_context(|| format!("--env {text}: it must be NAME=VALUE"))?;
            Ok((name.to_owned(), value.to_owned()))
        });
        let options = LoadOptions {
            args: self.args.clone(),
            env: env.collect::<anyhow::Result<_>>()?,
            private_tmp: self.private_tmp,
            proc: self.proc,
            ..LoadOptions::with_workers(workers)
        };
        Ok(options.keeping_logs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_have_a_name_and_a_value() {
        let of = |text: &str| LoadArgs {
            env: vec![text.to_owned()],
            ..Default::default()
        };
        let options = of("A=b=c").options(3).unwrap();
        assert_eq!(options.env, [("A".to_owned(), "b=c".to_owned())]);
        assert_eq!(options.workers, 3);
        assert!(of("A").options(3).is_err());
    }
}
