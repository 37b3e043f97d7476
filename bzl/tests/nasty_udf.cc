// Returns the fields of the request that the shipped interface declares.

#include "src/udf/cc/roma_udf.h"
#include "udf_interface.pb.h"

using bzl_tests::nasty::v1::Nasty;

int main(int argc, char** argv) {
  return roma::udf::Serve<Nasty, Nasty>(argc, argv, [](const Nasty& request) {
    Nasty response = request;
    // A field whose number or type differs from the declared one is unknown here, and lost.
    response.DiscardUnknownFields();
    return response;
  });
}
