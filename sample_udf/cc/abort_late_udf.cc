// Crashes after its response is written.

#include <cstdlib>

#include "sample_udf/cc/message.h"
#include "sample_udf/proto/sample.pb.h"
#include "src/udf/cc/roma_udf.h"

using roma::sample::Greeting;
using roma::sample::SampleRequest;
using roma::udf::Connection;
using roma::udf::Status;

namespace {

Status Crash(Connection& connection) {
  if (const Status status = connection.Ready(); status != Status::kOk) return status;
  SampleRequest request;
  if (const Status status = connection.ReadRequest(request); status != Status::kOk) return status;
  const Status status = connection.WriteResponse(Greeting("I am a crashing UDF!"));
  if (status != Status::kOk) return status;
  std::abort();
}

}  // namespace

int main(int argc, char** argv) { return roma::udf::Run(argc, argv, Crash); }
