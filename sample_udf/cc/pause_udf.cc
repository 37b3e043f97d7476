// Takes a request and never answers.

#include <unistd.h>

#include "sample_udf/proto/sample.pb.h"
#include "src/udf/cc/roma_udf.h"

using roma::sample::SampleRequest;
using roma::udf::Connection;
using roma::udf::Status;

namespace {

Status Hang(Connection& connection) {
  if (const Status status = connection.Ready(); status != Status::kOk) return status;
  SampleRequest request;
  if (const Status status = connection.ReadRequest(request); status != Status::kOk) return status;
  while (true) pause();
}

}  // namespace

int main(int argc, char** argv) { return roma::udf::Run(argc, argv, Hang); }
