// Writes the texts of the request to standard output and standard error.

#include <cstdio>
#include <string>

#include "sample_udf/proto/sample.pb.h"
#include "src/udf/cc/roma_udf.h"

using roma::sample::SampleRequest;
using roma::sample::SampleResponse;
using roma::udf::Connection;
using roma::udf::Status;

namespace {

Status Write(std::FILE* stream, const std::string& text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), stream) == text.size();
  return written && std::fflush(stream) == 0 ? Status::kOk : Status::kFailed;
}

Status Log(Connection& connection) {
  if (const Status status = connection.Ready(); status != Status::kOk) return status;
  SampleRequest request;
  if (const Status status = connection.ReadRequest(request); status != Status::kOk) return status;
  if (!request.has_log()) return Status::kFailed;
  if (const Status status = Write(stdout, std::string(request.log().standard_output()));
      status != Status::kOk) {
    return status;
  }
  if (const Status status = Write(stderr, std::string(request.log().standard_error()));
      status != Status::kOk) {
    return status;
  }
  SampleResponse response;
  response.mutable_log();
  if (const Status status = connection.WriteResponse(response); status != Status::kOk) {
    return status;
  }
  return Write(stderr, std::string(request.log().standard_error_after_response()));
}

}  // namespace

int main(int argc, char** argv) { return roma::udf::Run(argc, argv, Log); }
