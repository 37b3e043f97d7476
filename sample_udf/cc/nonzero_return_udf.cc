// Writes a response and exits with a failure.

#include "sample_udf/cc/message.h"
#include "sample_udf/proto/sample.pb.h"
#include "src/udf/cc/roma_udf.h"

using roma::sample::SampleRequest;
using roma::sample::SampleResponse;

namespace {

// No other failure has this exit code.
constexpr int kFailure = 23;

}  // namespace

int main(int argc, char** argv) {
  const int served = roma::udf::Serve<SampleRequest, SampleResponse>(
      argc, argv,
      [](const SampleRequest&) { return roma::sample::Greeting("I return a non-zero status!"); });
  return served == 0 ? kFailure : served;
}
