// Processor work: the sieve of Eratosthenes.

#ifndef SAMPLE_UDF_CC_PRIME_SIEVE_H_
#define SAMPLE_UDF_CC_PRIME_SIEVE_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "sample_udf/proto/sample.pb.h"

namespace roma::sample {

// The bound of each round of a sieve that runs for some time.
inline constexpr std::uint32_t kBoundOfARound = 100'000;

// Returns all prime numbers up to and including `bound`.
inline std::vector<std::uint32_t> Primes(std::uint64_t bound) {
  std::vector<bool> is_composite(bound + 1);
  std::vector<std::uint32_t> primes;
  for (std::uint64_t number = 2; number <= bound; ++number) {
    if (is_composite[number]) continue;
    primes.push_back(static_cast<std::uint32_t>(number));
    for (std::uint64_t multiple = number * number; multiple <= bound; multiple += number) {
      is_composite[multiple] = true;
    }
  }
  return primes;
}

inline PrimeSieveResponse Summary(const std::vector<std::uint32_t>& primes, std::uint64_t rounds) {
  PrimeSieveResponse response;
  response.set_prime_count(static_cast<std::uint32_t>(primes.size()));
  if (!primes.empty()) response.set_largest_prime(primes.back());
  response.set_rounds(rounds);
  return response;
}

inline PrimeSieveResponse SieveFor(std::chrono::duration<double> time) {
  const auto start = std::chrono::steady_clock::now();
  for (std::uint64_t rounds = 1;; ++rounds) {
    const std::vector<std::uint32_t> primes = Primes(kBoundOfARound);
    if (std::chrono::steady_clock::now() - start >= time) return Summary(primes, rounds);
  }
}

// Runs the requested sieve. Returns no value if the request is not valid.
inline std::optional<PrimeSieveResponse> Sieve(const PrimeSieveRequest& request) {
  if (request.has_up_to()) return Summary(Primes(request.up_to()), 1);
  if (!request.has_at_least()) return std::nullopt;
  const double whole = static_cast<double>(request.at_least().seconds());
  const double seconds = whole + request.at_least().nanos() / 1e9;
  if (seconds < 0) return std::nullopt;
  return SieveFor(std::chrono::duration<double>(seconds));
}

}  // namespace roma::sample

#endif  // SAMPLE_UDF_CC_PRIME_SIEVE_H_
