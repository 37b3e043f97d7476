// Does several kinds of work: greets, sieves, sorts and clones.

#include <optional>

#include "sample_udf/cc/clone.h"
#include "sample_udf/cc/message.h"
#include "sample_udf/cc/prime_sieve.h"
#include "sample_udf/cc/sort_list.h"
#include "sample_udf/proto/sample.pb.h"
#include "src/udf/cc/roma_udf.h"

namespace roma::sample {
namespace {

std::optional<SampleResponse> Answer(const SampleRequest& request) {
  SampleResponse response;
  switch (request.task_case()) {
    case SampleRequest::kHelloWorld:
      return Greeting("Hello, world!");
    case SampleRequest::kPrimeSieve: {
      const std::optional<PrimeSieveResponse> sieved = Sieve(request.prime_sieve());
      if (!sieved) return std::nullopt;
      *response.mutable_prime_sieve() = *sieved;
      return response;
    }
    case SampleRequest::kSortList:
      *response.mutable_sort_list() = Sort(List(request.sort_list().length()));
      return response;
    case SampleRequest::kClone: {
      const std::optional<CloneResponse> cloned = Clone(request.clone());
      if (!cloned) return std::nullopt;
      *response.mutable_clone() = *cloned;
      return response;
    }
    default:
      return std::nullopt;
  }
}

}  // namespace
}  // namespace roma::sample

int main(int argc, char** argv) {
  using roma::sample::SampleRequest;
  using roma::sample::SampleResponse;
  return roma::udf::Serve<SampleRequest, SampleResponse>(argc, argv, roma::sample::Answer);
}
