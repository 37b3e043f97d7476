// Greets, in C++.

#include "greeting.pb.h"
#include "src/udf/cc/roma_udf.h"

using greeting::v1::GreetRequest;
using greeting::v1::GreetResponse;

int main(int argc, char** argv) {
  return roma::udf::Serve<GreetRequest, GreetResponse>(
      argc, argv, [](const GreetRequest& request) {
        GreetResponse response;
        response.set_text("Hello, " + request.name() + "! It is " +
                          std::to_string(request.at().seconds()) + ".");
        return response;
      });
}
