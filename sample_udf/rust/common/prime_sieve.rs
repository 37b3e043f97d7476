//! Processor work: the sieve of Eratosthenes.

use std::time::{Duration, Instant};

use roma_sample_proto::roma::sample::prime_sieve_request::Limit;
use roma_sample_proto::roma::sample::{PrimeSieveRequest, PrimeSieveResponse};

use crate::message::Unanswerable;

/// The bound of each round of a sieve that runs for some time.
const BOUND_OF_A_ROUND: u32 = 100_000;

/// Runs the requested sieve.
pub fn answer(request: &PrimeSieveRequest) -> Result<PrimeSieveResponse, Unanswerable> {
    match request.limit {
        Some(Limit::UpTo(bound)) => Ok(summary(&primes(bound), 1)),
        Some(Limit::AtLeast(time)) => {
            let time = Duration::try_from(time).map_err(|_| Unanswerable)?;
            Ok(sieve_for(time))
        }
        None => Err(Unanswerable),
    }
}

fn sieve_for(time: Duration) -> PrimeSieveResponse {
    let start = Instant::now();
    let mut rounds = 0;
    loop {
        let primes = primes(BOUND_OF_A_ROUND);
        rounds += 1;
        if start.elapsed() >= time {
            return summary(&primes, rounds);
        }
    }
}

fn summary(primes: &[u32], rounds: u64) -> PrimeSieveResponse {
    PrimeSieveResponse {
        // There are fewer prime numbers than numbers.
        prime_count: primes.len() as u32,
        largest_prime: primes.last().copied(),
        rounds,
    }
}

/// Returns all prime numbers up to and including `bound`.
fn primes(bound: u32) -> Vec<u32> {
    let bound = bound as usize;
    let mut is_composite = vec![false; bound + 1];
    let mut primes = Vec::new();
    for number in 2..=bound {
        if !is_composite[number] {
            primes.push(number as u32);
            for multiple in (number * number..=bound).step_by(number) {
                is_composite[multiple] = true;
            }
        }
    }
    primes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up_to(bound: u32) -> PrimeSieveResponse {
        let limit = Some(Limit::UpTo(bound));
        answer(&PrimeSieveRequest { limit }).unwrap()
    }

    #[test]
    fn a_sieve_with_a_small_bound_finds_all_primes() {
        assert_eq!(primes(30), [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]);
        for (bound, largest) in [(0, None), (1, None), (2, Some(2)), (4, Some(3))] {
            assert_eq!(up_to(bound).largest_prime, largest);
        }
    }

    #[test]
    fn a_sieve_finds_the_known_number_of_primes() {
        let response = up_to(BOUND_OF_A_ROUND);
        assert_eq!(response.prime_count, 9_592);
        assert_eq!(response.largest_prime, Some(99_991));
        assert_eq!(response.rounds, 1);
    }

    #[test]
    fn a_timed_sieve_runs_for_the_requested_time() {
        let time = Duration::from_millis(20);
        let limit = Some(Limit::AtLeast(time.try_into().unwrap()));
        let start = Instant::now();
        let response = answer(&PrimeSieveRequest { limit }).unwrap();
        assert!(start.elapsed() >= time);
        assert!(response.rounds >= 1);
        assert_eq!(response.prime_count, 9_592);
    }

    #[test]
    fn an_invalid_request_is_refused() {
        assert!(answer(&PrimeSieveRequest { limit: None }).is_err());
    }
}
