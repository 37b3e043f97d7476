// Returns the message of the request.

#include "sample_udf/proto/example.pb.h"
#include "src/udf/cc/roma_udf.h"

using roma::example::EchoRequest;
using roma::example::EchoResponse;

int main(int argc, char** argv) {
  return roma::udf::Serve<EchoRequest, EchoResponse>(
      argc, argv, [](const EchoRequest& request) {
        EchoResponse response;
        response.set_message(request.message());
        return response;
      });
}
