// Stands for a new version of a UDF: returns the same greeting for any request.

#include "sample_udf/cc/message.h"
#include "sample_udf/proto/sample.pb.h"
#include "src/udf/cc/roma_udf.h"

using roma::sample::SampleRequest;
using roma::sample::SampleResponse;

int main(int argc, char** argv) {
  return roma::udf::Serve<SampleRequest, SampleResponse>(
      argc, argv,
      [](const SampleRequest&) { return roma::sample::Greeting("I am a new UDF!"); });
}
