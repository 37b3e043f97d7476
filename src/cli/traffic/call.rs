//! The request of each call.

use std::time::Duration;

use anyhow::{bail, ensure};
use bytes::Bytes;
use clap::ValueEnum;
use roma_sample_proto::roma::sample::prime_sieve_request::Limit;
use roma_sample_proto::roma::sample::sample_request::Task;
use roma_sample_proto::roma::sample::{CloneRequest, HelloWorldRequest};

use crate::samples::request::{encoded, sieve};

/// `CLONE_NEWNS`.
const NEW_MOUNT_NAMESPACE: u64 = 0x0002_0000;
/// The default limit of the prime sieve.
const PRIMES: u32 = 100_000;

/// The function of the sample UDF to call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Function {
    /// A greeting.
    #[value(alias = "HelloWorld")]
    HelloWorld,
    /// Primes: up to a number, or for a time (`100000`, `5ms`).
    #[value(alias = "PrimeSieve")]
    PrimeSieve,
    /// Create a process.
    #[value(alias = "Clone")]
    Clone,
    /// Create a process in a mount namespace of its own.
    #[value(alias = "CloneWithNewNsFlag")]
    CloneWithNewNsFlag,
}

impl Function {
    /// Returns the request with the user's input.
    pub fn request(self, input: Option<&str>) -> anyhow::Result<Bytes> {
        ensure!(
            input.is_none() || self == Self::PrimeSieve,
            "only prime-sieve takes an input"
        );
        Ok(match self {
            Self::HelloWorld => encoded(Task::HelloWorld(HelloWorldRequest {})),
            Self::PrimeSieve => primes(input)?,
            Self::Clone => cloning(0),
            Self::CloneWithNewNsFlag => cloning(NEW_MOUNT_NAMESPACE),
        })
    }
}

/// A plain number is a limit for primes, not seconds.
fn primes(input: Option<&str>) -> anyhow::Result<Bytes> {
    let Some(text) = input else {
        return Ok(sieve(Limit::UpTo(PRIMES)));
    };
    match (text.parse(), crate::options::duration::parse(text)) {
        (Ok(up_to), _) => Ok(sieve(Limit::UpTo(up_to))),
        (Err(_), Ok(time)) => primes_for(time),
        (Err(_), Err(_)) => bail!("`{text}` is neither a number nor a time such as 5ms"),
    }
}

/// Returns a request that takes at least this long.
pub fn primes_for(time: Duration) -> anyhow::Result<Bytes> {
    Ok(sieve(Limit::AtLeast(time.try_into()?)))
}

fn cloning(namespace_flags: u64) -> Bytes {
    encoded(Task::Clone(CloneRequest { namespace_flags }))
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use roma_sample_proto::roma::sample::SampleRequest;

    use super::*;

    fn sieve_of(input: Option<&str>) -> Option<Limit> {
        let bytes = Function::PrimeSieve.request(input).unwrap();
        match SampleRequest::decode(bytes).unwrap().task {
            Some(Task::PrimeSieve(request)) => request.limit,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_sieve_has_a_number_or_a_time() {
        assert_eq!(sieve_of(None), Some(Limit::UpTo(PRIMES)));
        assert_eq!(sieve_of(Some("7")), Some(Limit::UpTo(7)));
        let time = Duration::from_millis(5).try_into().unwrap();
        assert_eq!(sieve_of(Some("5ms")), Some(Limit::AtLeast(time)));
        assert!(Function::PrimeSieve.request(Some("many")).is_err());
        assert!(Function::HelloWorld.request(Some("7")).is_err());
    }
}
