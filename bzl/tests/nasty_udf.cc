// Returns what it gets of all that the shipped interface knows.

#include "src/udf/cc/roma_udf.h"
#include "udf_interface.pb.h"

using bzl_tests::nasty::v1::Nasty;

int main(int argc, char** argv) {
  return roma::udf::Serve<Nasty, Nasty>(argc, argv, [](const Nasty& request) {
    Nasty response = request;
    // A number or a type that is not the declared one is unknown here, and lost.
    response.DiscardUnknownFields();
    return response;
  });
}
