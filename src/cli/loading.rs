//! How UDFs are loaded: the options that commands share.

use anyhow::Context;
use clap::Args;
use roma_byob::LoadOptions;

/// What UDFs get beyond what all get.
#[derive(Debug, Clone, Default, Args)]
pub struct LoadArgs {
    /// An argument for the UDF, after the two that each gets. May be given several times.
    #[arg(long = "arg", value_name = "TEXT", allow_hyphen_values = true)]
    args: Vec<String>,
    /// A variable of its environment, which is empty otherwise. May be given several times.
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// A private /tmp of so many bytes for each execution. Without, nothing can be written.
    #[arg(long, value_name = "BYTES")]
    private_tmp: Option<u64>,
    /// Let UDFs see /proc, of their own processes.
    #[arg(long)]
    proc: bool,
}

impl LoadArgs {
    /// Options with these, which keep what UDFs print.
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
