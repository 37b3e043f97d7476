//! How UDFs are loaded: the options that commands share.

use anyhow::Context;
use clap::{Args, ValueEnum};
use roma_byob::{LoadOptions, Readiness, ServiceBuilder};

use super::host_answers::HostAnswerArgs;
use super::limits::Limit;

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
    /// A limit of each process: cpu-time=TIME, address-space=BYTES, data=BYTES, open-files=NUMBER,
    /// file-size=BYTES, processes=NUMBER or stack=BYTES, where bytes may be 64k, 256m or 2g. May be
    /// repeated.
    #[arg(long = "limit", value_name = "NAME=VALUE", value_parser = Limit::parse)]
    limits: Vec<Limit>,
    /// How the UDF says that it is ready: byte, or none for the older protocol.
    #[arg(long, value_name = "HOW", value_enum, default_value_t = Protocol::Byte)]
    readiness: Protocol,
    #[command(flatten)]
    host_answers: HostAnswerArgs,
}

/// The protocols of readiness, by their names on the command line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Protocol {
    #[default]
    Byte,
    None,
}

impl LoadArgs {
    /// Returns how the UDF says that it is ready.
    pub fn readiness(&self) -> Readiness {
        match self.readiness {
            Protocol::Byte => Readiness::Byte,
            Protocol::None => Readiness::None,
        }
    }

    /// Refuses values that [`Self::options`] and [`Self::host_functions`] would refuse.
    pub fn check(&self) -> anyhow::Result<()> {
        self.options(1)?;
        self.host_answers.read().map(drop)
    }

    /// Adds the host functions that UDFs may call to a service.
    pub fn host_functions(&self, builder: ServiceBuilder) -> anyhow::Result<ServiceBuilder> {
        self.host_answers.register(builder)
    }

    /// Returns load options with these values.
    pub fn options(&self, workers: u32) -> anyhow::Result<LoadOptions> {
        let env = self.env.iter().map(|text| {
            let (name, value) = text
                .split_once('=')
                .with_context(|| format!("--env {text}: it must be NAME=VALUE"))?;
            Ok((name.to_owned(), value.to_owned()))
        });
        let mut options = LoadOptions {
            args: self.args.clone(),
            env: env.collect::<anyhow::Result<_>>()?,
            private_tmp: self.private_tmp,
            proc: self.proc,
            readiness: self.readiness(),
            host_functions: self.host_answers.any(),
            ..LoadOptions::with_workers(workers)
        };
        for limit in &self.limits {
            limit.apply(&mut options.limits);
        }
        Ok(options)
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
