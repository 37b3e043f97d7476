// Helpers that build responses.

#ifndef SAMPLE_UDF_CC_MESSAGE_H_
#define SAMPLE_UDF_CC_MESSAGE_H_

#include <string>

#include "sample_udf/proto/sample.pb.h"

namespace roma::sample {

inline SampleResponse Greeting(const std::string& text) {
  SampleResponse response;
  response.mutable_hello_world()->set_greeting(text);
  return response;
}

}  // namespace roma::sample

#endif  // SAMPLE_UDF_CC_MESSAGE_H_
